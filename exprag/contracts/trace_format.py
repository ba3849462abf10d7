"""The trace format contract: trajectories as other programs write them, read and perhaps written.

Finding the rows of a file, naming those that do not fit, and provenance of the file belong to `exprag.traces`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exprag.errors import ConfigError
from exprag.trajectory import Trajectory

IMPORTED = "imported"


@dataclass(frozen=True)
class Place:
    """Where a row stands in the file that is read."""

    file: str = ""
    """The file's name, without its folder."""
    row: int = 1
    """The number of the line, element or entry, from 1."""
    key: str = ""
    """The row's key, where the file is an object of rows, and which of its trajectories, where a row holds several."""
    environment: str = IMPORTED
    """Name of the environment that its trajectories are of."""


class TraceFormat(ABC):
    """Reads one row of a foreign file as a trajectory; may also write one. A row is a value parsed from JSON, or a whole text."""

    losses: tuple[str, ...] = ()
    """What `write` leaves out or changes, a phrase each; empty: `read` gives back what was written."""

    @abstractmethod
    def recognise(self, row: Any) -> bool:
        """Whether the row looks like this format. Must not raise for any row."""

    @abstractmethod
    def read(self, row: Any, place: Place) -> Trajectory:
        """The trajectory of a row. Raises RecordError saying what does not fit, and nothing else, for any row."""

    def parts(self, row: Any) -> Iterator[tuple[str, Any]]:
        """(key, row) for each trajectory that a row holds, to be read one by one; by default the row itself."""
        yield "", row

    def write(self, trajectory: Trajectory) -> Any:
        """The trajectory as a row: plain JSON data. Raises ConfigError where the format can only be read."""
        raise ConfigError("Trajectories cannot be written in this format, only read.", cure="Export them in another one.")

    def rows(self, file: Path) -> Iterator[tuple[str, Any]] | None:
        """(key, row) for each row of a file that is not JSON or text, such as a database; None for any other file."""
        return None
