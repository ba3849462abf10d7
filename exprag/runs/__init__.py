"""Many episodes: configuration, run directory, workers, resume."""

from exprag.runs.config import RunConfig, choose_tasks
from exprag.runs.directory import RunDirectory
from exprag.runs.engine import RunSummary, run
from exprag.runs.merging import MergeReport, merge

__all__ = ["MergeReport", "RunConfig", "RunDirectory", "RunSummary", "choose_tasks", "merge", "run"]
