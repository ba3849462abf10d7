"""Fixtures of the evaluation tests."""

from __future__ import annotations

import pytest
from evaluation.material import SAMPLE, real_arms

from exprag.evaluation import RunResult
from exprag.trajectory import Trajectory


@pytest.fixture(scope="session")
def real() -> tuple[list[RunResult], dict[str, Trajectory]]:
    if not SAMPLE.exists():
        pytest.skip(f"the shared sample of expert episodes is not there: {SAMPLE.name} beside the repository")
    return real_arms()
