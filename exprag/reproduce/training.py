"""The adapters of a paper's tables, trained on the expert's easy episodes with the product's own rows and recipe.

    OUT/adapters/KIND/rows        the rows: with memory (ExpRAG-LoRA) or without (LoRA)
    OUT/adapters/KIND/training    the training, which is continued if it was interrupted
    OUT/adapters/KIND/adapter.json   where the adapter is, once it is finished
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from exprag.errors import ConfigError
from exprag.evaluation.groups import groups_of
from exprag.files import write_json
from exprag.reproduce.plan import Plan
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.training import DataConfig

KINDS = {"without memory": 0, "with memory": 2}
"""How adapters are trained, and the trajectories in each row's memory."""
RECIPE = "exprag-lora"
FINISHED = "adapter.json"

Progress = Callable[[str, int, int], None]
"""Called with the kind of adapter, its optimizer step, and the number of all of them."""


def base_of(model: str) -> str | None:
    """The folder or id of a local model that adapters can be trained on; None for another kind of model, and for an adapter."""
    kind, _, rest = model.partition(":")
    base = rest.partition("?")[0]
    if kind != "hf" or not base or (Path(base).expanduser() / "adapter_config.json").exists():
        return None
    return base


def finished_adapters(plan: Plan, out: str | Path) -> dict[str, str]:
    """The specs of the adapters that were trained in `out`, by kind."""
    place = Path(out).expanduser().resolve() / "adapters"
    specs = {}
    for kind in plan.kinds:
        record = place / _slug(kind) / FINISHED
        if record.exists():
            specs[kind] = _spec(plan.model, place / _slug(kind) / json.loads(record.read_text(encoding="utf-8"))["adapter"])
    return specs


def train_adapters(plan: Plan, out: str | Path, progress: Progress | None = None) -> dict[str, str]:
    """Train the adapters that the tables need and that are not there yet; the specs of all, by kind.

    The bank of the plan's matrix has been made. Raises ConfigError for a model that cannot be trained, or without the extra.
    """
    base = base_of(plan.model)
    if base is None:
        raise ConfigError(f"{plan.model} cannot be trained here.", cure="Name a local base model: hf:FOLDER or hf:ID.")
    specs = finished_adapters(plan, out)
    for kind in plan.kinds:
        if kind not in specs:
            specs[kind] = _train(plan, Path(out).expanduser().resolve(), base, kind, progress)
    return specs


def _train(plan: Plan, out: Path, base: str, kind: str, progress: Progress | None) -> str:
    from exprag.bank import Bank
    from exprag.training import build_rows, train, write_dataset

    folder = out / "adapters" / _slug(kind)
    rows = folder / "rows"
    if not (rows / "dataset_info.json").exists():
        from transformers import AutoTokenizer

        episodes, config = lessons(plan, out), _data_config(plan, out, KINDS[kind])
        bank = Bank.open(config.bank, config.bank_version) if config.bank else None
        write_dataset(rows, build_rows(episodes, bank, config, tokenizer=AutoTokenizer.from_pretrained(base)))
    update = (lambda step, total, _: progress(kind, step, total)) if progress else None
    recipe = {name: value for name, value in plan.training.items() if name != "limit"}
    result = train(rows, base, folder / "training", RECIPE, progress=update, **recipe)
    write_json(folder / FINISHED, {"adapter": str(result.adapter.resolve().relative_to(folder.resolve()))})
    return _spec(plan.model, result.adapter)


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


def _data_config(plan: Plan, out: Path, k: int) -> DataConfig:
    from exprag.training import DataConfig

    bank, _, version = plan.bank_in(out)
    options = plan.matrix.cells[0].config.environment_options
    if not k:
        return DataConfig.make(k=0, environment_options=options)
    types = sorted({episode.task.type for episode in lessons(plan, out)})
    memory = {"bank": str(bank), "bank_version": version, "k": k, "index_state": "matched", "index_types": types}
    return DataConfig.make(**memory, environment_options=options)


def _spec(model: str, adapter: Path) -> str:
    """The spec that serves an adapter as the base was served."""
    query = model.partition("?")[2]
    return f"hf:{adapter.resolve()}" + (f"?{query}" if query else "")


def _slug(kind: str) -> str:
    return kind.replace(" ", "-")
