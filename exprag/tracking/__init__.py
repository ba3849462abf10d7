"""Runs in other people's trackers, beside the files of the run: off unless one is named."""

from exprag.tracking.tracker import TRACKERS, Tracker, make_tracker, tracked, values_of

__all__ = ["TRACKERS", "Tracker", "make_tracker", "tracked", "values_of"]
