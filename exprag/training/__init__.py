"""From traces to training: rows, datasets, and what is trained on them. Names are found at first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exprag.training.adapters import Card, ServedOtherwise
    from exprag.training.checkpoints import Selection, select_checkpoint
    from exprag.training.config import DataConfig
    from exprag.training.curve import draw_curve
    from exprag.training.dataset import Description, describe_dataset, load_dataset, read_rows, tokenize_rows, write_dataset
    from exprag.training.lora import TrainResult, train
    from exprag.training.profiles import Profile, load_profile
    from exprag.training.report import Report
    from exprag.training.rollouts import Rollout, rollout_config
    from exprag.training.row import Row
    from exprag.training.rows import Rows, build_rows
    from exprag.training.tokens import ChatTokens, check_tokenizer, tokenizer_hash

__all__ = [
    "Card",
    "ChatTokens",
    "DataConfig",
    "Description",
    "Profile",
    "Report",
    "Rollout",
    "Row",
    "Rows",
    "Selection",
    "ServedOtherwise",
    "TrainResult",
    "build_rows",
    "check_tokenizer",
    "describe_dataset",
    "draw_curve",
    "load_dataset",
    "load_profile",
    "read_rows",
    "rollout_config",
    "select_checkpoint",
    "tokenize_rows",
    "tokenizer_hash",
    "train",
    "write_dataset",
]

_LATE = {
    **dict.fromkeys(("Card", "ServedOtherwise"), "adapters"),
    **dict.fromkeys(("Selection", "select_checkpoint"), "checkpoints"),
    **dict.fromkeys(("Rollout", "rollout_config"), "rollouts"),
    "draw_curve": "curve",
    **dict.fromkeys(("TrainResult", "train"), "lora"),
    **dict.fromkeys(("Profile", "load_profile"), "profiles"),
    "DataConfig": "config",
    "Report": "report",
    "Row": "row",
    **dict.fromkeys(("Rows", "build_rows"), "rows"),
    **dict.fromkeys(("ChatTokens", "check_tokenizer", "tokenizer_hash"), "tokens"),
    **dict.fromkeys(
        ("Description", "describe_dataset", "load_dataset", "read_rows", "tokenize_rows", "write_dataset"), "dataset"
    ),
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(f"exprag.training.{_LATE[name]}"), name)
    raise AttributeError(f"module 'exprag.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
