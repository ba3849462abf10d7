"""Warnings of exprag's loggers in a run's log.txt, with tracebacks, from every process that plays its episodes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exprag.text import redact
from exprag.trajectory import now

LOG = "log.txt"


class _Log(logging.FileHandler):
    """A log whose own errors, on a full disk, disturb nothing: what fails there is told by the next write that matters."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


class _Lines(logging.Formatter):
    """As the run's own lines: the time first; without credentials that an error may quote."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{now()} {redact(super().format(record))}"


@contextmanager
def logged_in(folder: str | Path | None) -> Iterator[None]:
    """Inside, what the loggers `exprag.…` warn of is appended to the folder's log.txt too; None: nothing changes."""
    if folder is None:
        yield
        return
    handler = _Log(Path(folder) / LOG, encoding="utf-8", delay=True, errors="backslashreplace")
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Lines())
    logger = logging.getLogger("exprag")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
