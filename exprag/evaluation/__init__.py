"""Evaluation: metrics, paired statistics, reports, and the page on which episodes are read."""

from exprag.evaluation.metrics import Metrics, measure
from exprag.evaluation.page import write_page
from exprag.evaluation.report import Report, compare
from exprag.evaluation.results import RunResult, load_run

__all__ = ["Metrics", "Report", "RunResult", "compare", "load_run", "measure", "write_page"]
