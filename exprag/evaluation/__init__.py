"""Evaluation: metrics, paired statistics, reports, and the page on which episodes are read."""

from exprag.evaluation.metrics import Metrics, measure
from exprag.evaluation.report import Report, compare
from exprag.evaluation.reporting import evaluate, report_on, write_page
from exprag.evaluation.results import RunResult, load_run

__all__ = ["Metrics", "Report", "RunResult", "compare", "evaluate", "load_run", "measure", "report_on", "write_page"]
