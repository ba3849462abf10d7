"""The rows of a paper's adapters: the expert's easy episodes to train on, and episodes held out, whose loss is measured.

    OUT/adapters/KIND/rows             the rows that are trained on: with memory (ExpRAG-LoRA) or without (LoRA)
    OUT/adapters/KIND/validation-HALF  rows of the expert's episodes on the tasks that are played, which are in no training
    OUT/validation/HALF                those episodes: a run of the expert
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError
from exprag.evaluation.groups import groups_of
from exprag.reproduce.plan import HALVES, Plan
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.training import DataConfig

KINDS = {"without memory": 0, "with memory": 2}
"""How adapters are trained, and the trajectories in each row's memory."""
TASKS = ("environment", "environment_options", "split", "types", "task_ids", "per_type", "limit", "shuffle", "seed")
"""The fields of a run that choose its tasks."""


def training_rows(plan: Plan, out: Path, kind: str, tokenizer: Any) -> Path:
    """The rows of a kind of adapter, written where they are missing. The bank of the plan's matrix has been made."""
    episodes = lessons(plan, out)
    return _written(plan, out, kind, out / "adapters" / slug(kind) / "rows", episodes, tokenizer)


def validation_rows(plan: Plan, out: Path, kind: str, tokenizer: Any) -> dict[str, Path]:
    """The rows held out, by half of the tasks (easy, hard), written where they are missing; without a half that the expert does
    not solve, and none for a kind whose course no figure shows."""
    if kind not in {course.kind for table in plan.tables for course in table.courses}:
        return {}
    rows = {}
    for half in HALVES:
        if episodes := _held_out(plan, out, half):
            target = out / "adapters" / slug(kind) / f"validation-{half}"
            rows[half] = _written(plan, out, kind, target, episodes, tokenizer)
    return rows


def lessons(plan: Plan, out: Path) -> list[Trajectory]:
    """The expert's episodes of easy tasks that reached the goal, of which is trained; by type in turn, at most `limit` of the
    plan."""
    from exprag.runs import RunDirectory

    _, experience, _ = plan.bank_in(out)
    easy = set(plan.easy_types)
    episodes = [
        episode
        for episode in RunDirectory(experience).episodes()
        if episode.success and easy & {episode.task.type, *groups_of(episode.task)}
    ]
    turns: dict[str, int] = {}
    order = []
    for episode in sorted(episodes, key=lambda episode: episode.task.key):
        turns[episode.task.type] = turns.get(episode.task.type, 0) + 1
        order.append((turns[episode.task.type], episode.task.key, episode))
    chosen = [episode for _, _, episode in sorted(order, key=lambda item: item[:2])]
    limit = plan.training.get("limit")
    if not chosen:
        raise ConfigError("The expert solved no easy task, so that there is nothing to train on.")
    return chosen[: int(limit)] if limit else chosen


def _held_out(plan: Plan, out: Path, half: str) -> list[Trajectory]:
    """The expert's successes on the tasks of a half that the arms play; what is missing of them is played."""
    from exprag.runs import RunConfig, RunDirectory, run

    config = next(cell.config for cell in plan.matrix.cells if cell.scope == half)
    same = {name: getattr(config, name) for name in (*TASKS, "workers", "step_timeout")}
    folder = out / "validation" / half
    run(RunConfig.make(**same, policy="expert", name="validation"), folder)
    return [episode for episode in RunDirectory(folder).episodes() if episode.success]


def _written(plan: Plan, out: Path, kind: str, target: Path, episodes: Sequence[Trajectory], tokenizer: Any) -> Path:
    from exprag.bank import Bank
    from exprag.training import build_rows, write_dataset

    if not (target / "dataset_info.json").exists():
        config = _data_config(plan, out, KINDS[kind], sorted({episode.task.type for episode in episodes}))
        bank = Bank.open(config.bank, config.bank_version) if config.bank else None
        write_dataset(target, build_rows(episodes, bank, config, tokenizer=tokenizer))
    return target


def _data_config(plan: Plan, out: Path, k: int, types: Sequence[str]) -> DataConfig:
    from exprag.training import DataConfig

    bank, _, version = plan.bank_in(out)
    options = plan.matrix.cells[0].config.environment_options
    if not k:
        return DataConfig.make(k=0, environment_options=options)
    memory = {"bank": str(bank), "bank_version": version, "k": k, "index_state": "matched", "index_types": types}
    return DataConfig.make(**memory, environment_options=options)


def slug(kind: str) -> str:
    """A kind of adapter as the name of a folder."""
    return kind.replace(" ", "-")
