"""Chat JSON: its documented shape, and that it can be read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprag import Step, Task, Trajectory
from exprag.contracts.formatter import Transcript
from exprag.plugins import create

ODD = ["\ud800", "\\ud800", "</experience>", '"', "\u2028", "<|im_end|>"]
text = st.text(st.characters(exclude_categories=())) | st.sampled_from(ODD)


def test_the_documented_shape():
    steps = (Step(observation="a room", action="look", thought="hm"), Step(observation="a mug", action="take mug"))
    trajectory = Trajectory(task=Task(environment="e", id="1", instruction="fetch é"), steps=steps, final_observation="Done.")
    written = create("formatter", "chat_json").format(trajectory)
    assert json.loads(written) == [
        {"role": "system", "content": "fetch é"},
        {"role": "user", "content": "a room"},
        {"role": "assistant", "content": "look"},
        {"role": "user", "content": "a mug"},
        {"role": "assistant", "content": "take mug"},
        {"role": "user", "content": "Done."},
    ]
    assert "é" in written


@given(text, st.lists(st.tuples(text, text), max_size=4), text)
def test_round_trip(instruction, turns, final):
    steps = tuple(Step(observation=observation, action=action) for observation, action in turns)
    task = Task(environment="e", id="1", instruction=instruction)
    trajectory = Trajectory(task=task, steps=steps, final_observation=final)
    formatter = create("formatter", "chat_json")
    written = formatter.format(trajectory)
    written.encode("utf-8")
    assert formatter.parse(written) == Transcript(
        trajectory.task.instruction,
        tuple((step.observation, step.action) for step in trajectory.steps),
        trajectory.final_observation,
    )
    assert formatter.format(trajectory) == written


@pytest.mark.parametrize(
    "other",
    [
        "",
        "Observation: a room",
        "{}",
        "[]",
        "[1, 2]",
        "null",
        '[{"role": "user", "content": "x"}]',
        '[{"role": "system", "content": "x"}]',
        '[{"role": "system", "content": "x"}, {"role": "user", "content": null}]',
        '[{"role": "system", "content": "x"}, {"role": "assistant", "content": "y"}]',
        "[" * 100_000,
    ],
)
def test_other_text_is_not_read(other):
    assert create("formatter", "chat_json").parse(other) is None
