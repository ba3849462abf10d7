"""What the recipe for CPUs gains: rows an hour ÷ a bare TRL SFTTrainer on the same rows, with the same loss.

    python benchmarks/train_cpu.py [--json] [--quick | --smoke] [--model FOLDER]

The model is a folder (`exprag models fetch-small FOLDER` unpacks SmolLM2-135M-Instruct); without one a small untrained Llama is
made on the spot, which measures the bookkeeping alone. The rows are the expert's episodes of generated ALFWorld games with one
recalled episode before them, written as plans; LoRA on all linear layers, bf16, one row a forward pass. Sides alternate, by the
process's own time; a ratio is the median over the pairs.

    ours_to_bare     rows an hour of exprag.training ÷ those of a bare SFTTrainer with the same settings; aim: at least 1.5
    loss, loss_bare  mean loss of the last steps on either side, after as many steps on the same rows in the same order
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from _local_model import ENVIRONMENT, fill_bank, make_model
from _output import Figures, make_parser, sized, start
from trainer import bare, compare, ours

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.plugins import create

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

RECIPE: dict[str, Any] = {
    "r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.0,
    "target_modules": "all-linear",
    "learning_rate": 1e-3,
    "lr_scheduler_type": "linear",
    "optim": "adamw_torch_fused",
    "precision": "bf16",
    "logging_steps": 1,
}


def make_rows(base: str, bank: Path, count: int) -> Any:
    """Tokenised rows of this many train games."""
    from datasets import Dataset
    from transformers import AutoTokenizer

    from exprag.training import DataConfig, build_rows

    environment = create("environment", ENVIRONMENT)
    tasks = [task for task, _ in zip(environment.tasks("train"), range(count), strict=False)]
    episodes = [play_expert(environment, task) for task in tasks]
    config = DataConfig.make(bank=str(bank), k=1, formatter="plan")
    rows = build_rows(episodes, Bank.open(bank), config, tokenizer=AutoTokenizer.from_pretrained(base))
    return Dataset.from_list([{"input_ids": list(row.input_ids or ()), "labels": list(row.labels or ())} for row in rows])


def losses(trainer: Any) -> list[float]:
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    count, pairs, steps, last = sized(options, full=(8, 3, 50, 20), quick=(4, 1, 8, 4), smoke=(2, 1, 2, 1))
    with Figures("train_cpu", options) as figures, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        base = str(options.model or make_model(folder / "model"))
        bank = fill_bank(folder / "bank", max(24, count))
        rows = make_rows(base, bank, max(count, steps))
        few = rows.select(range(count))
        tokens = [len(ids) for ids in rows["input_ids"]]
        learnt = sum(label != -100 for labels in rows["labels"] for label in labels)
        figures.extend({"tokens_a_row": round(statistics.mean(tokens)), "learnt_share": round(learnt / sum(tokens), 3)})
        speed = {**RECIPE, "batch_size": count, "per_device_train_batch_size": 1}
        settings = ours(few, base, folder / "settings", **speed)
        seconds, ratios = compare(
            lambda out: ours(few, base, out, **speed), lambda out: bare(few, base, out, settings), folder / "speed", pairs
        )
        figures.add("rows_an_hour", round(3600 * count / seconds))
        figures.add("ours_to_bare", round(statistics.median(ratios), 2), "at least 1.5")
        figures.add("ours_to_bare_range", [round(min(ratios), 2), round(max(ratios), 2)])
        some = rows.select(range(steps))
        each = {**RECIPE, "batch_size": 1, "per_device_train_batch_size": 1}
        mine = ours(some, base, folder / "ours", **each)
        other = bare(some, base, folder / "bare", mine)
        figures.add("loss", round(statistics.mean(losses(mine)[-last:]), 4))
        figures.add("loss_bare", round(statistics.mean(losses(other)[-last:]), 4))


if __name__ == "__main__":
    start(main)
