"""The experience bank over LanceDB. Names are found at first use: a filter alone should not cost the import of Arrow."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exprag.bank.bank import Bank
    from exprag.bank.encoders import Encoder, HuggingFaceEncoder, load_encoder
    from exprag.bank.filters import Filter
    from exprag.bank.reports import AddReport, BadRow, BankInfo, Hit, ImportReport, IndexReport, Pruned, VersionRecord

__all__ = [
    "AddReport",
    "BadRow",
    "Bank",
    "BankInfo",
    "Encoder",
    "Filter",
    "Hit",
    "HuggingFaceEncoder",
    "ImportReport",
    "IndexReport",
    "Pruned",
    "VersionRecord",
    "load_encoder",
]

_LATE = {
    **dict.fromkeys(("AddReport", "BadRow", "BankInfo", "Hit", "ImportReport"), "exprag.bank.reports"),
    **dict.fromkeys(("IndexReport", "Pruned", "VersionRecord"), "exprag.bank.reports"),
    **dict.fromkeys(("Encoder", "HuggingFaceEncoder", "load_encoder"), "exprag.bank.encoders"),
    "Bank": "exprag.bank.bank",
    "Filter": "exprag.bank.filters",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'exprag.bank' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
