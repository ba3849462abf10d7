"""Any text, any trajectory: property tests inside a check, where hypothesis is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exprag.testing.kit import NotApplicable
from exprag.testing.material import ODD_TEXTS
from exprag.trajectory import Step, Task, Trajectory

EXAMPLES = 100


def for_any_text(examine: Callable[[str], object]) -> None:
    """Call `examine` with many texts, lone surrogates and control characters among them; the same ones every time."""
    _for_any(lambda texts: texts, examine)


def for_any_trajectory(examine: Callable[[Trajectory], object]) -> None:
    """Call `examine` with many trajectories of any texts."""

    def trajectories(texts: Any) -> Any:
        from hypothesis import strategies as st

        tasks = st.builds(lambda text: Task(environment="e", id="1", instruction=text), texts)
        steps = st.builds(Step, observation=texts, action=texts, thought=texts)
        return st.builds(
            lambda task, steps, final: Trajectory(task=task, steps=tuple(steps), final_observation=final),
            tasks,
            st.lists(steps, max_size=4),
            texts,
        )

    _for_any(trajectories, examine)


def _for_any(of: Callable[[Any], Any], examine: Callable[[Any], object]) -> None:
    try:
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st
    except ImportError as error:
        raise NotApplicable("hypothesis is not installed") from error
    texts = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(ODD_TEXTS)
    options = settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )

    @options
    @given(of(texts))
    def example(thing: Any) -> None:
        examine(thing)

    example()
