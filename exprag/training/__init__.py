"""From traces to training, in two rooms. Names are imported at first use.

    rows/   trajectories → rows: chats with the memory that retrieval gives them, as text or as tokens, and datasets of them
    sft/    rows → LoRA adapters: recipes, training with TRL and PEFT, checkpoints chosen by playing them

Training uses banks, retrieval, prompts, models and runs; of these rooms none uses training.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exprag.training.rows.build import Rows, build_rows
    from exprag.training.rows.config import DataConfig
    from exprag.training.rows.dataset import load_dataset, read_rows, tokenize_rows
    from exprag.training.rows.description import Description, describe_dataset
    from exprag.training.rows.report import Report
    from exprag.training.rows.row import Row
    from exprag.training.rows.tokens import ChatTokens, check_tokenizer
    from exprag.training.rows.write import write_dataset
    from exprag.training.sft.checkpoints import Selection, select_checkpoint
    from exprag.training.sft.curve import draw_curve
    from exprag.training.sft.lora import TrainResult, train
    from exprag.training.sft.recipes import Recipe, load_recipe
    from exprag.training.sft.rollouts import Rollout, rollout_config

__all__ = [
    "ChatTokens",
    "DataConfig",
    "Description",
    "Recipe",
    "Report",
    "Rollout",
    "Row",
    "Rows",
    "Selection",
    "TrainResult",
    "build_rows",
    "check_tokenizer",
    "describe_dataset",
    "draw_curve",
    "load_dataset",
    "load_recipe",
    "read_rows",
    "rollout_config",
    "select_checkpoint",
    "tokenize_rows",
    "train",
    "write_dataset",
]

_LATE = {
    **dict.fromkeys(("Selection", "select_checkpoint"), "sft.checkpoints"),
    **dict.fromkeys(("Rollout", "rollout_config"), "sft.rollouts"),
    "draw_curve": "sft.curve",
    **dict.fromkeys(("TrainResult", "train"), "sft.lora"),
    **dict.fromkeys(("Recipe", "load_recipe"), "sft.recipes"),
    "DataConfig": "rows.config",
    "Report": "rows.report",
    "Row": "rows.row",
    **dict.fromkeys(("Rows", "build_rows"), "rows.build"),
    **dict.fromkeys(("ChatTokens", "check_tokenizer"), "rows.tokens"),
    **dict.fromkeys(("Description", "describe_dataset"), "rows.description"),
    **dict.fromkeys(("load_dataset", "read_rows", "tokenize_rows"), "rows.dataset"),
    "write_dataset": "rows.write",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(f"exprag.training.{_LATE[name]}"), name)
    raise AttributeError(f"module 'exprag.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
