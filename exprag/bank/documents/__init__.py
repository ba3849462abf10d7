"""Documents beside trajectories: reference text in the bank's own place."""

from exprag.bank.documents.collection import DOCUMENTS, DocumentHit, DocumentReport, Documents

__all__ = ["DOCUMENTS", "DocumentHit", "DocumentReport", "Documents"]
