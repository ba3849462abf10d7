"""`exprag bank`: all commands of the group. Each module adds its own to `app`."""

from exprag.cli import bank_care, bank_documents, bank_eval, bank_look, bank_search, bank_skills, bank_versions, utilities  # noqa: F401
from exprag.cli.bank import app

__all__ = ["app"]
