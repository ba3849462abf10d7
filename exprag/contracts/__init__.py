"""What plugin authors implement, a file each. `exprag.authoring` is the stable name for all of it.

environment       a text environment in Gymnasium's shape
query_strategy    the key of a trajectory and the query of a moment
selector          which candidates are kept
formatter         one trajectory as text
style             how a model is asked for an action and how its turn is read
model             what makes a chat model from a spec
trace_format      trajectories as other programs write them
distiller         items such as hints from finished episodes
templates         the global forms of an action, which prompts list
"""

from exprag.contracts.distiller import Distillate, Distiller, Refusal
from exprag.contracts.environment import Info, TextEnvironment, make_fingerprint
from exprag.contracts.formatter import Formatter, Transcript
from exprag.contracts.model import ModelFactory
from exprag.contracts.query_strategy import Moment, QueryStrategy, StepStrategy, window
from exprag.contracts.selector import Candidate, Selector
from exprag.contracts.style import AgentStyle, Turn
from exprag.contracts.templates import match
from exprag.contracts.trace_format import Place, TraceFormat

__all__ = [
    "AgentStyle",
    "Candidate",
    "Distillate",
    "Distiller",
    "Formatter",
    "Info",
    "ModelFactory",
    "Moment",
    "Place",
    "QueryStrategy",
    "Refusal",
    "Selector",
    "StepStrategy",
    "TextEnvironment",
    "TraceFormat",
    "Transcript",
    "Turn",
    "make_fingerprint",
    "match",
    "window",
]
