"""The steps of a thread are validated once each, and again from where the thread was rewritten."""

from __future__ import annotations

from typing import Any

import pytest

from exprag.errors import RecordError
from exprag.graph import build_agent
from exprag.graph.steps import steps_of
from exprag.trajectory import Step
from scripted import Scripted
from toy import Toy


@pytest.fixture
def validations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was validated as a Step since."""
    calls: list[Any] = []
    real = Step.from_dict.__func__  # type: ignore[attr-defined]

    def counting(cls: type[Step], data: Any) -> Step:
        calls.append(data)
        return real(cls, data)

    monkeypatch.setattr(Step, "from_dict", classmethod(counting))
    return calls


def steps(number: int) -> list[dict[str, Any]]:
    return [Step(observation=f"see {n}", action=f"do {n}").to_dict() for n in range(number)]


def test_an_episode_of_n_steps_validates_n_of_them(validations: list[Any]) -> None:
    agent = build_agent(Toy, Scripted(turns=["look"]), max_steps=30)
    agent.invoke({"task": "train/1"})
    # one when the environment's answer becomes a step, one when the next node reads it
    assert 30 <= len(validations) <= 2 * 30


def test_only_what_was_added_is_validated(validations: list[Any]) -> None:
    plain = steps(5)
    assert len(steps_of({"episode": "added", "steps": plain[:3]})) == 3
    assert [step.action for step in steps_of({"episode": "added", "steps": plain})] == [f"do {n}" for n in range(5)]
    assert len(validations) == 5


def test_a_rewritten_step_is_read_again() -> None:
    plain = steps(4)
    steps_of({"episode": "fork", "steps": plain})
    fork = [*plain[:2], {**plain[2], "action": "another"}]
    assert [step.action for step in steps_of({"episode": "fork", "steps": fork})] == ["do 0", "do 1", "another"]
    assert [step.action for step in steps_of({"episode": "fork", "steps": plain})] == [f"do {n}" for n in range(4)]


def test_a_step_of_another_shape_is_named() -> None:
    with pytest.raises(RecordError, match="steps of this thread do not validate"):
        steps_of({"episode": "old", "steps": [{"observation": "x"}]})
