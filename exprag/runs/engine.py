"""Many episodes of one arm: choose tasks, skip the finished, play the rest, append each; again after a kill."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from exprag.contracts.environment import TextEnvironment
from exprag.environments import calls
from exprag.errors import ConfigError, ExpragError, RunError
from exprag.logs import logged_in
from exprag.models.credentials import hide_credentials
from exprag.runs.config import RunConfig, choose_tasks
from exprag.runs.directory import RunDirectory
from exprag.runs.error_series import ErrorSeries
from exprag.runs.estimate import estimate
from exprag.runs.learning import Learner
from exprag.runs.lock import locked
from exprag.runs.object_store import url_of
from exprag.runs.player import make_environment
from exprag.runs.shards import Part, check_shard, write_share
from exprag.runs.totals import Budget, Prices, Totals, cost
from exprag.runs.workers import play_all
from exprag.trajectory import Task, Trajectory


@dataclass(frozen=True)
class RunSummary:
    """What a run holds. `errors` counts episodes that broke off, by boundary; `totals` has steps, tokens and seconds. `cost` is
    in US dollars, None where it is unknown. `stopped` says why a run ended before its last task, with `left` to play."""

    path: Path
    episodes: int
    successes: int
    errors: dict[str, int]
    totals: Totals = field(default_factory=Totals)
    cost: float | None = None
    stopped: str = ""
    left: int = 0


Progress = Callable[[int, int, Trajectory | None], None]
"""Called with (finished, total, the episode just finished or None at the start)."""


def run(
    config: RunConfig,
    out: str | Path,
    *,
    retry_errors: bool = False,
    progress: Progress | None = None,
    announce: Callable[[str], None] | None = None,
) -> RunSummary:
    """Play what is missing of `config` in the run directory `out`. The same call after an interruption completes it. `announce`
    is called once before the first episode, with what is left to play and an estimate of what it will take.

    Raises ExpragError before the first episode for anything that would fail them all (plugin, data, bank, model); RunError where
    another process plays there, and where too many episodes in a row end in an error of one kind (`stop_after_errors`): those are
    played again by the same call. What breaks a single episode is in its trajectory. Where the budget is spent, no other episode
    is begun, those in flight are finished, and the summary says what is left.

    `out` may be a URL of object storage (`exprag.runs.mirror`); `path` of the summary is then the folder that mirrors it.
    """
    url = url_of(out)
    if url is None:
        return _run_in(Path(out).expanduser(), config, retry_errors, progress, announce)
    if config.learn != "none":
        raise ConfigError("A run that learns keeps its bank in its folder.", cure="Name a folder, not a URL: --out runs/NAME.")
    from exprag.runs.mirror import mirrored

    with mirrored(url) as mirror:

        def update(count: int, total: int, trajectory: Trajectory | None) -> None:
            mirror.check()
            if progress:
                progress(count, total, trajectory)

        return _run_in(mirror.folder, config, retry_errors, update, announce)


def _run_in(
    folder: Path, config: RunConfig, retry_errors: bool, progress: Progress | None, announce: Callable[[str], None] | None
) -> RunSummary:
    directory, budget = RunDirectory(folder), Budget(config)
    config, environment, everything, tasks = resolve(config, directory)
    fingerprint = calls.fingerprint(environment)
    directory.check()
    with locked(directory.path):
        config = directory.prepare(_pin_bank(config, directory))
        directory.write_versions(fingerprint, bank_version=config.bank_version, tasks=len(tasks))
        if config.shard:
            write_share(directory.path, Part.parse(config.shard), everything)
        if retry_errors and (count := directory.drop_errors()):
            directory.log(f"{count} episodes that ended in an error are played again")
        try:
            _announce(config, directory, environment, tasks, announce)
            stopped = _play(config, directory, tasks, budget, progress)
        except (ExpragError, KeyboardInterrupt) as reason:
            with suppress(ExpragError):  # on a full disk: what stopped the run is what is told
                left = len(directory.missing(tasks))
                directory.log(f"stopped with {left} of {len(tasks)} to play: {str(reason) or 'interrupted'}")
            raise
        left = len(directory.missing(tasks))
        directory.log(f"stopped with {left} of {len(tasks)} to play: {stopped}" if stopped else "finished")
        return replace(summarise(directory, config), stopped=stopped, left=left)


def resolve(config: RunConfig, directory: RunDirectory) -> tuple[RunConfig, TextEnvironment, list[Task], list[Task]]:
    """The configuration with nothing left open but the bank's version, its environment, all tasks, and those of its shard."""
    if config.shard:
        check_shard(config)
    config = config.model_copy(update={"name": config.name or directory.path.name, "model": hide_credentials(config.model)})
    environment = make_environment(config)
    tasks = choose_tasks(environment, config)
    if config.agent.index_state in ("matched", "mismatched") and not config.agent.index_types:
        config = config.changed(index_types=sorted({task.type for task in tasks}))
    return config, environment, tasks, Part.parse(config.shard).of(tasks) if config.shard else tasks


def _announce(
    config: RunConfig,
    directory: RunDirectory,
    environment: TextEnvironment,
    tasks: list[Task],
    announce: Callable[[str], None] | None,
) -> None:
    """Log what is left to play and what it will take, and tell whoever wants to know."""
    left = directory.missing(tasks)
    line = f"{len(tasks)} tasks, {len(tasks) - len(left)} played, {len(left)} to play"
    if left and config.policy == "agent":
        with suppress(ExpragError):  # an environment that does not tell its limit: each episode says so
            limit = config.max_steps or calls.max_steps(environment, left[0])
            line += f": {estimate(len(left), limit, Totals.of(directory.entries()), Prices.of(config)).text()}"
    directory.log(line)
    if announce and left:
        announce(line)


def _play(config: RunConfig, directory: RunDirectory, tasks: list[Task], budget: Budget, progress: Progress | None) -> str:
    """Play the tasks that have no episode yet, round by round where the run learns. Returns why it stopped before the last."""
    play_tasks: Callable[..., Generator[Trajectory]] = play_all
    if config.engine == "ray":
        from exprag.runs.ray_engine import play_on_ray as play_tasks
    learner = Learner(config, directory) if config.learn != "none" else None
    rounds = learner.rounds(tasks) if learner else [tasks]
    count = len(tasks) - len(directory.missing(tasks))
    if progress:
        progress(count, len(tasks), None)
    series = ErrorSeries(config.stop_after_errors, directory.entries())
    totals, stopped = Totals.of(directory.entries()), ""
    for number, part in enumerate(rounds):
        remaining = deque(directory.missing(part))
        if remaining and (stopped := budget.spent(totals)):
            return stopped
        round_config = learner.reading(number) if learner else config
        with logged_in(directory.path), closing(play_tasks(round_config, remaining, directory.path)) as episodes:
            for trajectory in episodes:
                directory.append(trajectory)
                totals.add(directory.entries()[-1])
                count += 1
                if trajectory.error:
                    directory.log(f"{trajectory.task.key}: {trajectory.error.boundary}: {trajectory.error.message}")
                if progress:
                    progress(count, len(tasks), trajectory)
                if series.over(trajectory):
                    directory.forget(learner.reopen(series.ids) if learner else series.ids)
                    raise series.error()
                if remaining and (stopped := budget.spent(totals)):
                    remaining.clear()
        if stopped and directory.missing(part):
            return budget.spent(totals)  # with what the episodes took that were in flight
        if missing := directory.missing(part):
            raise RunError(
                f"{len(missing)} of {len(part)} tasks have no episode, the first {missing[0].key}.", cure="Run the same again."
            )
        if learner:
            learner.learn(number, directory.episodes_of(part))
    return ""


def summarise(directory: RunDirectory, config: RunConfig | None = None) -> RunSummary:
    """The summary of what is there; with the prices of `config`, if it has some."""
    totals = Totals.of(directory.entries())
    prices = Prices.of(config) if config else None
    return RunSummary(directory.path, totals.episodes, totals.successes, totals.errors, totals, cost(totals, prices))


def _pin_bank(config: RunConfig, directory: RunDirectory) -> RunConfig:
    """Open the bank once, early: its errors stop the run before anything is written, and its version is pinned."""
    uri = config.bank
    if uri is None:
        return config

    from exprag.bank import Bank

    if config.bank_version is None and (directory.path / "config.json").exists():
        config = config.model_copy(update={"bank_version": directory.config(allow_code=True).bank_version})
    version = Bank.open(uri, version=config.bank_version).version
    if config.shard and config.bank_version is None:
        message = "A shard reads the bank at a version that is the same in all shards."
        raise ConfigError(message, cure=f"Give --bank-version {version}.")
    return config.model_copy(update={"bank_version": version})
