"""Banks of experience and of documents for the adapters' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exprag import Step, Task, Trajectory
from exprag.bank import Bank

ERRANDS = ("put a clean mug on the desk", "put a hot apple on the table", "clean the mug", "read the book under the lamp")


def made(number: int, instruction: str, environment: str = "house", success: bool | None = True) -> Trajectory:
    steps = (
        Step(observation="You are in the kitchen.", action="take mug"),
        Step(observation=f"You take mug {number}.", action="clean mug", thought="It is dirty.", reward=1.0),
    )
    task = Task(environment=environment, id=f"task-{number}", type="put", instruction=instruction)
    return Trajectory(task=task, steps=steps, final_observation="Done.", success=success)


@pytest.fixture
def trajectory() -> Callable[..., Trajectory]:
    return made


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """A lexical bank of four episodes, one of them a failure."""
    bank = Bank.create(tmp_path / "bank")
    bank.add([made(number, text, success=number != 2) for number, text in enumerate(ERRANDS)])
    return bank
