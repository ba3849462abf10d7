"""What the pipelines of this room share: settings that stay with a folder, and runs of named tasks and of the expert."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from exprag.config import Settings
from exprag.errors import RunError
from exprag.files import write_json
from exprag.runs import RunConfig, RunSummary, run
from exprag.runs.config import changes_no_result, flat
from exprag.runs.engine import Progress

Bars = Callable[[str], AbstractContextManager[Progress]]
"""The progress of one run, by its name."""


def keep_settings(path: Path, settings: Settings, what: str, free: Collection[str] = ()) -> None:
    """Write the settings of a pipeline, which have a field `run`, into its folder. Fields that are `free`, and those of the run
    that change no result, may be others than before. Raises RunError where another differs."""
    values = settings.model_dump(mode="json")
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        different = [name for name, value in values.items() if name not in {"run", *free} and before.get(name) != value]
        now, then = flat(values["run"]), flat(before["run"])
        different += [f"run.{name}" for name in now if now[name] != then.get(name) and not changes_no_result(name)]
        if different:
            raise RunError(f"{path.parent} holds another {what}: {', '.join(different)}.", cure="Choose another --out.")
    write_json(path, values)


def own_tasks(ids: Sequence[str]) -> dict[str, Any]:
    """The fields of a run that is played on these tasks."""
    return {"task_ids": tuple(ids), "limit": None, "per_type": None, "shuffle": False, "types": ()}


def expert_run(base: RunConfig, expert: str | None, ids: Sequence[str]) -> RunConfig:
    """The run of the environment's expert on these tasks, as of an agent's run."""
    fields = {"policy": "expert", "expert": expert, "bank": None, "bank_version": None, "learn": "none", "learn_rule": None}
    agent = base.agent.changed(k=0, hint_k=0, document_k=0)
    return RunConfig.make(**{**base.model_dump(), **own_tasks(ids), **fields, "agent": agent, "name": "expert"})


def play_run(config: RunConfig, out: Path, folder: str, say: Callable[[str], None], bars: Bars | None) -> RunSummary:
    """Play what is missing of a run in OUT/FOLDER, with its bar, and say how many of its episodes ended in an error."""
    with bars(folder) if bars else nullcontext() as progress:
        summary = run(config, out / folder, progress=progress)
    if summary.errors:
        say(f"{folder}: {sum(summary.errors.values())} episodes ended in an error, see {summary.path / 'log.txt'}")
    return summary
