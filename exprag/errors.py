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

Somebody else's code (a plugin, an environment, a library) is called inside `boundary(…)`, which turns whatever it raises into one
of these.

Inside an episode, EnvError and ModelError are data: the episode ends, its trajectory keeps `error` with the boundary,
and the run goes on and counts it. Raised before the first episode they stop the command: nothing is half done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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


@contextmanager
def boundary(
    kind: type[ExpragError],
    what: str,
    *,
    cure: str = "",
    catch: tuple[type[BaseException], ...] = (Exception, SystemExit),
) -> Iterator[None]:
    """Call somebody else's code inside: what it raises becomes `kind`, with a cure and the message "`what`: type: reason."

    After a `what` that ends in "raised" the colon is left out. Our own errors pass as they are. `catch` narrows or widens what is
    turned; a plugin that calls `sys.exit` is caught too, a Ctrl-C is not. Do not `yield` inside: the errors of the generator's
    consumer would be turned as well.
    """
    try:
        yield
    except ExpragError:
        raise
    except catch as error:
        joint = " " if what.endswith(" raised") else ": "
        raise kind(f"{what}{joint}{describe(error)}", cure=cure) from error


def describe(error: BaseException, length: int = 300) -> str:
    """An exception in one line: its type and the first line of its message that says something, ending in a full stop.

    A line that ends in a colon is a heading: what it announces is said instead ("Error(s) in loading state_dict for Llama:").
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next((line for line in lines if not line.endswith(":")), lines[0] if lines else "")
    if len(reason) > length:
        reason = reason[: length - 1] + "…"
    text = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def first_fault(error: Any) -> str:
    """What a pydantic ValidationError found first: "place: what was expected", the place left out for the whole."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def closest(name: str, names: list[str]) -> str:
    """A 'did you mean' sentence for an unknown name, and the names that there are."""
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    shown = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
    return f"Known: {shown or 'none'}."
