"""Documents beside trajectories: reference text in the bank's own place."""

from exprag.bank.documents.collection import DOCUMENTS, Documents
from exprag.bank.reports import DocumentHit, DocumentReport

__all__ = ["DOCUMENTS", "DocumentHit", "DocumentReport", "Documents"]
