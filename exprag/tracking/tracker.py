"""The hook behind which trackers stand: a run starts, an episode ends, the run ends.

Files come first: a tracker is told of an episode when it is on disk, and one that fails is left out from then on, with a warning;
the run goes on.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError, PluginError, closest, describe
from exprag.text import redact
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.runs import RunConfig

log = logging.getLogger("exprag.tracking")

TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio", "mlflow": "'exprag[mlflow]'"}
"""The trackers, named like the packages that they need, each with what pip installs for it."""

Progress = Callable[[int, int, "Trajectory | None"], None]


class Tracker(ABC):
    """Where the figures of a run go. All may raise: see `tracked`."""

    @abstractmethod
    def run_start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        """A run begins or continues; `config` is plain data without credentials, `folder` the run directory."""

    @abstractmethod
    def episode(self, number: int, values: Mapping[str, float]) -> None:
        """The `number`-th episode of the run, from 1, has ended."""

    @abstractmethod
    def run_end(self, values: Mapping[str, float]) -> None:
        """Nothing more will come: the run has ended, or was stopped. `values` are of the episodes of this call."""


def make_tracker(name: str) -> Tracker:
    """The tracker of a name. Raises ConfigError for an unknown one, PluginError where its package is not installed."""
    if name not in TRACKERS:
        raise ConfigError(f"There is no tracker {name!r}.", cure=closest(name, list(TRACKERS)))
    try:
        module = import_module(f"exprag.tracking.{name}_tracker")  # first: it may say what its package reads when it is imported
        import_module(name)
    except ImportError as error:
        raise PluginError(f"The tracker {name} needs its package ({error}).", cure=f"pip install {TRACKERS[name]}") from error
    tracker: Tracker = module.make()
    return tracker


def values_of(episode: Trajectory) -> dict[str, float]:
    """The figures of an episode: what it carries of success, score, steps, seconds and tokens."""
    values = {"success": float(episode.success is True), "steps": float(len(episode.steps)), "error": float(bool(episode.error))}
    if episode.score is not None:
        values["score"] = episode.score
    if episode.provenance.seconds is not None:
        values["seconds"] = episode.provenance.seconds
    if usage := [step.usage for step in episode.steps if step.usage is not None]:
        values["prompt_tokens"] = float(sum(call.prompt for call in usage))
        values["completion_tokens"] = float(sum(call.completion for call in usage))
    return values


@contextmanager
def tracked(
    trackers: Sequence[str | Tracker], config: RunConfig, out: str | Path, progress: Progress | None = None
) -> Iterator[Progress]:
    """A progress for `exprag.runs.run` that also tells the trackers, by name or as objects; `progress` is told first.

    Raises, before anything is played, what `make_tracker` raises. A tracker that fails later is left out with a warning.
    """
    active = [make_tracker(tracker) if isinstance(tracker, str) else tracker for tracker in trackers]
    name = config.name or Path(out).name
    sums: dict[str, float] = {}
    count, started = 0, False

    def tell(what: str, *arguments: Any) -> None:
        for tracker in list(active):
            try:
                getattr(tracker, what)(*arguments)
            except Exception as error:  # noqa: BLE001 - somebody else's service; the run does not depend on it
                active.remove(tracker)
                log.warning("%s is left out, because it failed: %s", type(tracker).__name__, redact(describe(error)))

    def update(number: int, total: int, episode: Trajectory | None) -> None:
        nonlocal count, started
        if progress is not None:
            progress(number, total, episode)
        if not started:  # now, and not earlier: the run directory is there
            started = True
            tell("run_start", name, _plain(config), Path(out))
        if episode is None or not active:
            return
        count += 1
        values = values_of(episode)
        for key, value in values.items():
            sums[key] = sums.get(key, 0.0) + value
        tell("episode", number, values | {"success_rate": sums["success"] / count})

    try:
        yield update
    finally:
        if started:
            tell("run_end", {"episodes": float(count), **{key: value / count for key, value in sums.items()}})


def _plain(config: RunConfig) -> dict[str, Any]:
    from exprag.evaluation.redaction import redacted

    data: dict[str, Any] = redacted(config.model_dump(mode="json"))
    return data
