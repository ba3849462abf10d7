"""Errors in a row: where every episode fails the same way, playing on burns time and money and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from exprag.errors import RunError
from exprag.runs.episode_index import Entry
from exprag.trajectory import EpisodeError, Trajectory


class ErrorSeries:
    """The episodes since the last one that ended without an error of the same boundary; `limit` None: any number is allowed."""

    def __init__(self, limit: int | None, earlier: Iterable[Entry] = ()) -> None:
        self._limit = limit
        self._boundary = ""
        self._last: EpisodeError | None = None
        self.ids: list[str] = []
        for entry in earlier:
            self._add(entry.id, entry.error)

    def over(self, trajectory: Trajectory) -> bool:
        """Take the next episode in; whether the limit is reached."""
        self._last = trajectory.error
        self._add(trajectory.id, trajectory.error.boundary if trajectory.error else "")
        return self._limit is not None and len(self.ids) >= self._limit

    def _add(self, id: str, boundary: str) -> None:
        if boundary != self._boundary:
            self.ids = []
        self._boundary = boundary
        if boundary:
            self.ids.append(id)

    def error(self) -> RunError:
        """Why the run stops. These episodes are not kept: the same command plays them again."""
        assert self._last is not None
        return RunError(
            f"{len(self.ids)} episodes in a row ended in an error of the {self._last.boundary}: {self._last.message}",
            cure="Fix it and run the same again: these episodes are played again. stop_after_errors sets another number.",
        )
