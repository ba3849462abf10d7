"""exprag: agents that learn from experience, as plugins on LangGraph.

Importing this package imports neither torch nor lancedb; names are found at first use.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from exprag.errors import ExpragError
from exprag.hookspecs import hookimpl
from exprag.trajectory import Step, Task, Trajectory

if TYPE_CHECKING:
    from exprag.bank import Bank
    from exprag.config import AgentConfig
    from exprag.evaluation import evaluate
    from exprag.graph import build_agent
    from exprag.memory import MemoryState
    from exprag.models import load_model
    from exprag.retrieval import Retriever

try:
    __version__ = version("exprag")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"

__all__ = [
    "AgentConfig",
    "Bank",
    "ExpragError",
    "MemoryState",
    "Retriever",
    "Step",
    "Task",
    "Trajectory",
    "__version__",
    "build_agent",
    "evaluate",
    "hookimpl",
    "load_model",
]

_LATE = {
    "AgentConfig": "exprag.config",
    "MemoryState": "exprag.memory",
    "Bank": "exprag.bank",
    "Retriever": "exprag.retrieval",
    "build_agent": "exprag.graph",
    "evaluate": "exprag.evaluation",
    "load_model": "exprag.models",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'exprag' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
