"""The error model: one type per boundary, and what each means for a run.

Everything raised on purpose is an `ExpragError`; its message says what was expected and its `cure` what to do. The
subclass names the boundary that was crossed:

    ConfigError       the caller's own input: a name, an option, a file that does not exist
    PluginError       a plugin is unknown, broken, or lacks its extra
    RecordError       a Task, Step or Trajectory that does not validate, or comes from a newer schema
    EnvError          the environment: missing data or runtime, unknown task, death in mid-episode, replay disagrees
    ModelError        the chat model: missing weights, refused call, nothing usable in its turn
    BankError         the experience bank: foreign or corrupt folder, another encoder, unknown version
    RetrievalError    query, exclusion or selection broke its contract
    RunError          a run directory that is not ours, or belongs to another configuration

Inside an episode, EnvError and ModelError are data: the episode ends, its trajectory keeps `error` with the boundary,
and the run goes on and counts it. Raised before the first episode they stop the command: nothing is half done.
"""

from __future__ import annotations


class ExpragError(Exception):
    """Base of all errors raised on purpose. `boundary` names where, `cure` says what to do about it."""

    boundary = "exprag"

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"  # what a checkpoint keeps of an error: with the cure

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process walls (episode workers): keep the keyword-only cure.
        return _rebuild, (type(self), self.message, self.cure)


def _rebuild(kind: type[ExpragError], message: str, cure: str) -> ExpragError:
    return kind(message, cure=cure)


class ConfigError(ExpragError):
    boundary = "config"


class PluginError(ExpragError):
    boundary = "plugin"


class RecordError(ExpragError):
    boundary = "record"


class EnvError(ExpragError):
    boundary = "environment"


class ModelError(ExpragError):
    boundary = "model"


class BankError(ExpragError):
    boundary = "bank"


class RetrievalError(ExpragError):
    boundary = "retrieval"


class RunError(ExpragError):
    boundary = "run"


def closest(name: str, known: list[str]) -> str:
    """A 'did you mean' sentence for an unknown name, and what is known."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    shown = ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
    return f"Known: {shown or 'none'}."
