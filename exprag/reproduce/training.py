"""The adapters of a paper's tables, trained on the expert's easy episodes with the product's own rows and recipe.

    OUT/adapters/KIND/rows        the rows, see `exprag.reproduce.rows`
    OUT/adapters/KIND/training    the training, which is continued if it was interrupted
    OUT/adapters/KIND/adapter.json   where the adapter is, once it is finished
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from exprag.errors import ConfigError
from exprag.files import write_json
from exprag.models.load import ModelSpec
from exprag.reproduce.plan import Plan
from exprag.reproduce.rows import slug, training_rows, validation_rows

RECIPE = "exprag-lora"
FINISHED = "adapter.json"

Progress = Callable[[str, int, int], None]
"""Called with the kind of adapter, its optimizer step, and the number of all of them."""


def finished_adapters(plan: Plan, out: str | Path) -> dict[str, Path]:
    """The adapters that were trained in `out`, by kind."""
    place = Path(out).expanduser().resolve() / "adapters"
    adapters = {}
    for kind in plan.kinds:
        record = place / slug(kind) / FINISHED
        if record.exists():
            adapters[kind] = (record.parent / json.loads(record.read_text(encoding="utf-8"))["adapter"]).resolve()
    return adapters


def specs_of(plan: Plan, adapters: dict[str, Path]) -> dict[str, str]:
    """The specs that serve these adapters as the plan's model is served, by kind."""
    spec = ModelSpec.parse(plan.model)
    return {kind: spec.of_adapter(folder) for kind, folder in adapters.items()}


def train_adapters(plan: Plan, out: str | Path, progress: Progress | None = None) -> None:
    """Train the adapters that the tables need and that are not there yet.

    The bank of the plan's matrix has been made. Raises ConfigError for a model that cannot be trained, or without the extra.
    """
    base = ModelSpec.parse(plan.model).base
    if not base:
        raise ConfigError(f"{plan.model} cannot be trained here.", cure="Name a local base model: hf:FOLDER or hf:ID.")
    finished = finished_adapters(plan, out)
    for kind in plan.kinds:
        if kind not in finished:
            _train(plan, Path(out).expanduser().resolve(), base, kind, progress)


def _train(plan: Plan, out: Path, base: str, kind: str, progress: Progress | None) -> None:
    from transformers import AutoTokenizer

    from exprag.training import train

    folder = out / "adapters" / slug(kind)
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows, validation = training_rows(plan, out, kind, tokenizer), validation_rows(plan, out, kind, tokenizer)
    update = (lambda step, total, _: progress(kind, step, total)) if progress else None
    recipe = {name: value for name, value in plan.training.items() if name != "limit"}
    result = train(rows, base, folder / "training", RECIPE, validation=validation or None, progress=update, **recipe)
    write_json(folder / FINISHED, {"adapter": str(result.adapter.resolve().relative_to(folder.resolve()))})
