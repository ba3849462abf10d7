"""Episodes of a checkpoint: sets of tasks, played by the ordinary runs, as run directories OUT/rollouts/SET/checkpoint-STEP.

An interrupted call goes on where it was, no episode is played twice, and `exprag report` reads the folders.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from exprag.errors import ConfigError
from exprag.models.cards import CARD, Card
from exprag.runs import RunConfig, RunDirectory, choose_tasks
from exprag.runs import run as play
from exprag.runs.player import make_environment
from exprag.training.rows.config import DataConfig
from exprag.training.sft.inputs import origin
from exprag.trajectory import Trajectory
from exprag.trusted_code import refuse_code

Sets = RunConfig | Mapping[str, RunConfig]
Progress = Callable[[str, int, int, Trajectory | None], None]
"""Called with ("SET/checkpoint-STEP", finished, total, the episode just finished or None at the start)."""


@dataclass(frozen=True)
class Rollout:
    """How one checkpoint did on one set of tasks."""

    set: str
    """Name of the set."""
    checkpoint: str
    """Name of the checkpoint's folder."""
    step: int
    """Optimizer steps of the checkpoint."""
    epoch: float
    """Passes over the rows of the checkpoint."""
    n: int
    """Episodes, those that ended in an error included."""
    solved: int
    """Episodes that reached the goal."""
    success: float
    """Share of them, in [0, 1]."""
    low: float
    """Lower limit of Wilson's 95 % interval of the success."""
    high: float
    """Upper limit of that interval."""
    score: float | None
    """Mean score of the episodes that have one."""
    steps: float
    """Mean length of an episode."""
    errors: int
    """Episodes that ended in an error."""


def rollout_config(source: str | Path, **fields: Any) -> RunConfig:
    """Tasks to play as was trained: the agent, the environment and the bank of an adapter or a dataset, with `fields` on top.

    Raises ConfigError where the adapter's card or the dataset names code by an import path and `fields` do not name it too.
    """
    if (Path(source) / CARD).is_file():
        card = Card.read(source)
        rows, home = card.rows, {"environment": card.environment, "bank": card.bank, "bank_version": card.bank_version}
    else:
        from exprag.training.rows.description import describe_dataset

        about = describe_dataset(source)
        rows, home = about.model_dump(mode="json"), origin(about)
    data = cast(dict[str, Any], rows.get("config", {}))
    options = {"environment_options": data["environment_options"]} if "environment_options" in data else {}
    agent = DataConfig.model_validate(data).agent
    config = RunConfig.make(**{**options, "agent": agent, **home, **fields})
    refuse_code(config, source, fields)
    return config


def play_checkpoint(
    checkpoint: Path,
    sets: Mapping[str, RunConfig],
    *,
    model_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> None:
    """Play one checkpoint on every set, as far as it was not played before, and write the results into its card."""
    out = checkpoint.parent
    spec = f"hf:{checkpoint}" + (f"?{urlencode(model_options)}" if model_options else "")
    for name, config in sets.items():
        report = partial(progress, f"{name}/{checkpoint.name}") if progress else None
        run_config = config.model_copy(update={"model": spec, "policy": "agent"})
        with _undisturbed():
            play(run_config, out / "rollouts" / name / checkpoint.name, progress=report)
    card = Card.read(checkpoint)
    results = {r.set: asdict(r) for r in read_rollouts(out) if r.checkpoint == checkpoint.name}
    card.model_copy(update={"results": card.results | {"rollouts": results}}).write(checkpoint)


def read_rollouts(out: str | Path) -> list[Rollout]:
    """The rollouts so far, by set and step."""
    rollouts = []
    for folder in sorted(Path(out).glob("rollouts/*/checkpoint-*")):
        checkpoint = Path(out) / folder.name
        if not (checkpoint / CARD).is_file():
            continue
        episodes = list({e.task.key: e for e in reversed(RunDirectory(folder).episodes())}.values())  # a task counts once
        if not episodes:
            continue
        rollouts.append(_rollout(folder, Card.read(checkpoint).epoch, episodes))
    return sorted(rollouts, key=lambda rollout: (rollout.set, rollout.step))


def _rollout(folder: Path, epoch: float, episodes: list[Trajectory]) -> Rollout:
    from scipy.stats import binomtest

    n, solved = len(episodes), sum(episode.success is True for episode in episodes)
    limits = binomtest(solved, n).proportion_ci(0.95, method="wilson")
    scores = [episode.score for episode in episodes if episode.score is not None]
    return Rollout(
        set=folder.parent.name,
        checkpoint=folder.name,
        step=step_of(folder),
        epoch=epoch,
        n=n,
        solved=solved,
        success=solved / n,
        low=float(limits.low),
        high=float(limits.high),
        score=sum(scores) / len(scores) if scores else None,
        steps=sum(len(episode.steps) for episode in episodes) / n,
        errors=sum(episode.error is not None for episode in episodes),
    )


def check_sets(sets: Sets, by: str | None) -> dict[str, RunConfig]:
    """The sets by name, once it is known that each has tasks and its bank, and that `by` is one of them."""
    by_name = name_sets(sets)
    if by is not None and by not in by_name:
        raise ConfigError(f"There is no set {by!r} to choose by.", cure=f"Sets: {', '.join(by_name)}.")
    for config in by_name.values():
        choose_tasks(make_environment(config), config)
        if config.bank is not None:
            from exprag.bank import Bank

            Bank.open(config.bank, version=config.bank_version)
    return by_name


def name_sets(sets: Sets) -> dict[str, RunConfig]:
    """Sets by name; a single one is named by its configuration."""
    by_name = {sets.name or "tasks": sets} if isinstance(sets, RunConfig) else dict(sets)
    if not by_name:
        raise ConfigError("There is no set of tasks to play.", cure="Give at least one run configuration.")
    for name in by_name:
        if not re.fullmatch(r"[\w.+-]+", name):
            raise ConfigError(f"{name!r} cannot name a set: the name becomes a folder.", cure="Use letters, digits, - and _.")
    return by_name


def step_of(checkpoint: Path) -> int:
    """The optimizer step in the name of a checkpoint's folder."""
    return int(checkpoint.name.rpartition("-")[2])


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Episodes in this process leave the random states as they were, so that training goes on as if nobody had played."""
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
