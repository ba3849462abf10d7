"""Conformance kits for plugin authors: run them on your own plugin with one class, or one command."""

from exprag.testing.distillers import DistillerConformance, check_distiller
from exprag.testing.environments import EnvironmentConformance, check_environment, check_split
from exprag.testing.formatters import FormatterConformance, check_formatter
from exprag.testing.kit import Result
from exprag.testing.models import ModelConformance, check_model
from exprag.testing.selectors import SelectorConformance, check_selector
from exprag.testing.strategies import QueryStrategyConformance, check_strategy
from exprag.testing.styles import StyleConformance, check_style
from exprag.testing.trace_formats import TraceFormatConformance, check_trace_format

__all__ = [
    "DistillerConformance",
    "EnvironmentConformance",
    "FormatterConformance",
    "ModelConformance",
    "QueryStrategyConformance",
    "Result",
    "SelectorConformance",
    "StyleConformance",
    "TraceFormatConformance",
    "check_distiller",
    "check_environment",
    "check_formatter",
    "check_model",
    "check_selector",
    "check_split",
    "check_strategy",
    "check_style",
    "check_trace_format",
]
