"""The stable surface for plugin authors: what is named here may be relied on, see "What you may rely on" in docs/plugins.md.

Importing it brings nothing heavy. The conformance kits in `exprag.testing` belong to the surface too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from exprag.environment import Info, TextEnvironment, make_fingerprint
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
from exprag.formatter import Formatter, Transcript
from exprag.hookspecs import Register, hookimpl
from exprag.retrieval.contracts import Candidate, Moment, QueryStrategy, Selector, StepStrategy
from exprag.trajectory import Recall, Step, Task, Trajectory

if TYPE_CHECKING:
    from exprag.agents.style import AgentStyle, Turn
    from exprag.agents.templates import match

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
    "Moment",
    "PluginError",
    "QueryStrategy",
    "Recall",
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

# Their package brings langchain_core, which a module that only registers has no need of.
_LATE = {"AgentStyle": "exprag.agents.style", "Turn": "exprag.agents.style", "match": "exprag.agents.templates"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'exprag.authoring' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
