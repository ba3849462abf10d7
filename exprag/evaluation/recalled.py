"""What runs recalled: when their banks were asked, and the text of the trajectories that came back.

A run's configuration may come from somebody else. A bank that it names is opened only where it is a local folder: opening a URI
would use the network and the reader's credentials. Nor is a plugin made or code imported by what a configuration names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from exprag.errors import BankError, PluginError
from exprag.evaluation.results import RunResult
from exprag.text import redact
from exprag.trajectory import Trajectory


def is_remote(uri: str) -> bool:
    """Whether a bank lies behind a URI (s3://…), and not in a folder of this machine."""
    return "://" in uri.removeprefix("file://")


def recalled_ids(run: RunResult) -> set[str]:
    """The trajectories that some step of the run had in context."""
    return {item.id for episode in run.episodes for step in episode.steps for item in step.recalled}


def read_recalled(runs: Sequence[RunResult], banks: Sequence[str] = ()) -> tuple[dict[str, Trajectory], list[str]]:
    """The trajectories that the runs recalled, by id, and a sentence for each bank that could not be read.

    `banks`: look into these, as they are now, instead of those that the runs name.
    """
    problems = []
    places: dict[tuple[str, int | None], set[str]] = defaultdict(set)
    for run in runs:
        places_of_run = [(uri, None) for uri in banks] or _places(run)
        ids = recalled_ids(run)
        if ids and not places_of_run:
            problems.append(f"The run {run.name} does not say where its bank is. Name it: --bank BANK")
        for place in places_of_run if ids else ():
            places[place] |= ids
    trajectories: dict[str, Trajectory] = {}
    for (uri, version), ids in places.items():
        if is_remote(uri) and uri not in banks:
            name = redact(uri)
            problems.append(f"The bank {name} was not opened, because it is not on this machine. To open it: --bank {name}")
            continue
        from exprag.bank import Bank

        try:
            trajectories |= {trajectory.id: trajectory for trajectory in Bank.open(uri, version).get(sorted(ids))}
        except BankError as error:
            problems.append(redact(str(error)))
    return trajectories, problems


def _places(run: RunResult) -> list[tuple[str, int | None]]:
    """The run's bank and the version that it read; of a run that learns the latest, which holds all the earlier ones had."""
    if run.bank is None:
        return []
    version = None if run.learns else run.config.get("bank_version")
    return [(run.bank, version)]


def refresh_of(run: RunResult) -> str | None:
    """When the run asked its bank: the configured refresh, else the query strategy's own; None where that is not known.

    The strategy is looked up among the installed plugins. One named by an import path is not imported.
    """
    configured = run.agent.get("refresh")
    if configured or not run.has_memory:
        return str(configured) if configured else None
    from exprag.plugins import registry, resolve

    strategy = run.agent.get("strategy", "task")
    if not isinstance(strategy, str) or ":" in strategy:
        return None
    try:
        factory = resolve(registry().get("query_strategy", strategy).factory)
    except (PluginError, ImportError, AttributeError):
        return None
    own = getattr(factory, "refresh", None)
    return own if isinstance(own, str) else None
