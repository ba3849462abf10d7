"""Errors in a row: where every episode fails the same way, playing on burns time and money and changes nothing."""

from __future__ import annotations

from exprag.errors import RunError
from exprag.trajectory import EpisodeError, Trajectory


class ErrorSeries:
    """The episodes since the last one that ended without an error of the same boundary; `limit` None: any number is allowed."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._last: EpisodeError | None = None
        self.ids: list[str] = []

    def over(self, trajectory: Trajectory) -> bool:
        """Take the next episode in; whether the limit is reached."""
        error = trajectory.error
        if error is None or self._last is None or error.boundary != self._last.boundary:
            self.ids = []
        self._last = error
        if error is not None:
            self.ids.append(trajectory.id)
        return self._limit is not None and len(self.ids) >= self._limit

    def error(self) -> RunError:
        """Why the run stops. These episodes are not kept: the same command plays them again."""
        assert self._last is not None
        return RunError(
            f"{len(self.ids)} episodes in a row ended in an error of the {self._last.boundary}: {self._last.message}",
            cure="Fix it and run the same again: these episodes are played again. stop_after_errors sets another number.",
        )
