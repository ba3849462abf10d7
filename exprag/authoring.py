"""The stable surface for plugin authors: what is named here may be relied on, see "What you may rely on" in docs/plugins.md.

Importing it brings nothing heavy. The conformance kits in `exprag.testing` belong to the surface too.
"""

from exprag.contracts import (
    AgentStyle,
    Candidate,
    Formatter,
    Info,
    ModelFactory,
    Moment,
    QueryStrategy,
    Selector,
    StepStrategy,
    TextEnvironment,
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
from exprag.trajectory import Recalled, Step, Task, Trajectory

__all__ = [
    "AgentStyle",
    "BankError",
    "Candidate",
    "ConfigError",
    "EnvError",
    "ExpragError",
    "Formatter",
    "Info",
    "ModelError",
    "ModelFactory",
    "Moment",
    "PluginError",
    "QueryStrategy",
    "Recalled",
    "RecordError",
    "Register",
    "RetrievalError",
    "RunError",
    "Selector",
    "Step",
    "StepStrategy",
    "Task",
    "TextEnvironment",
    "Trajectory",
    "Transcript",
    "Turn",
    "hookimpl",
    "make_fingerprint",
    "match",
]


def __dir__() -> list[str]:
    return sorted(__all__)
