"""Conformance kits for plugin authors: run them on your own plugin with one class, or one command."""

from exprag.testing.environments import EnvironmentConformance, Result, check_environment

__all__ = ["EnvironmentConformance", "Result", "check_environment"]
