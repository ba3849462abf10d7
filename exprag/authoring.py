"""The stable surface for plugin authors: what is named here may be relied on, see "What you may rely on" in docs/plugins.md.

Importing it brings nothing heavy. The conformance kits in `exprag.testing` belong to the surface too.
"""

from exprag.contracts import (
    AgentStyle,
    Candidate,
    Distillate,
    Distiller,
    Formatter,
    Info,
    ModelFactory,
    Moment,
    Place,
    QueryStrategy,
    Refusal,
    Selector,
    StepStrategy,
    TextEnvironment,
    TraceFormat,
    Transcript,
    Turn,
    make_fingerprint,
    match,
)
from exprag.errors import (
    BankError,
    ConfigError,
    EnvError,
    ExpragError,
    ModelError,
    PluginError,
    RecordError,
    RetrievalError,
    RunError,
)
from exprag.hookspecs import Register, hookimpl
from exprag.items import Item, ItemSource
from exprag.trajectory import Recalled, Step, Task, ToolCall, Trajectory

__all__ = [
    "AgentStyle",
    "BankError",
    "Candidate",
    "ConfigError",
    "Distillate",
    "Distiller",
    "EnvError",
    "ExpragError",
    "Formatter",
    "Info",
    "Item",
    "ItemSource",
    "ModelError",
    "ModelFactory",
    "Moment",
    "Place",
    "PluginError",
    "QueryStrategy",
    "Recalled",
    "RecordError",
    "Refusal",
    "Register",
    "RetrievalError",
    "RunError",
    "Selector",
    "Step",
    "StepStrategy",
    "Task",
    "TextEnvironment",
    "ToolCall",
    "TraceFormat",
    "Trajectory",
    "Transcript",
    "Turn",
    "hookimpl",
    "make_fingerprint",
    "match",
]


def __dir__() -> list[str]:
    return sorted(__all__)
