from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exprag.errors import RecordError
from exprag.files import read_jsonl, write_jsonl
from exprag.trajectory import SCHEMA_VERSION, EpisodeError, Provenance, Recalled, Step, Task, Trajectory, Usage

text = st.text(st.characters(codec=None), max_size=40)  # codec None: lone surrogates and control characters too
name = st.text(st.characters(codec=None), min_size=1, max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(text, json_values, max_size=3)
tasks = st.builds(Task, environment=name, id=name, split=text, type=text, instruction=text, group=text, metadata=metadata)
recalls = st.builds(Recalled, id=name, score=number, reason=text)
usages = st.builds(Usage, prompt=st.integers(0, 10**9), completion=st.integers(0, 10**9))
steps = st.builds(
    Step,
    observation=text,
    action=text,
    thought=st.none() | text,
    reward=number,
    valid=st.none() | st.booleans(),
    response=st.none() | text,
    note=st.none() | text,
    recalled=st.lists(recalls, max_size=2).map(tuple),
    usage=st.none() | usages,
)
provenances = st.builds(
    Provenance,
    run=text,
    model=text,
    created=text,
    seconds=st.none() | number,
    seed=st.none() | st.integers(0, 2**40),
    bank_version=st.none() | st.integers(0, 2**40),
    extra=metadata,
)
trajectories = st.builds(
    Trajectory,
    task=tasks,
    steps=st.lists(steps, max_size=4).map(tuple),
    final_observation=text,
    success=st.none() | st.booleans(),
    score=st.none() | number,
    ended=st.sampled_from(["terminated", "truncated", "gave_up", "error"]),
    source=st.sampled_from(["expert", "agent", "human"]),
    fingerprint=text,
    provenance=provenances,
    error=st.none() | st.builds(EpisodeError, boundary=name, message=text),
)


@given(trajectories)
@settings(max_examples=200, deadline=None)
def test_json_round_trip_loses_nothing(trajectory: Trajectory) -> None:
    line = trajectory.to_json()
    assert line.isascii()
    assert "\n" not in line
    again = Trajectory.from_json(line)
    assert again == trajectory
    assert again.to_json() == line


def test_surrogate_halves_are_joined_and_lone_ones_kept() -> None:
    step = Step(observation="\ud83d\ude00", action="\ud83d")
    assert step.observation == "\U0001f600"
    assert step.action == "\ud83d"
    assert Step.from_json(step.to_json()) == step


def test_names_may_hold_lone_surrogates_too() -> None:
    task = Task(environment="toy\udc80", id="\ud800")
    assert Task.from_json(task.to_json()) == task


def test_a_megabyte_observation_survives() -> None:
    step = Step(observation="x\u2028\x00é" * 300_000, action="look")
    assert Step.from_json(step.to_json()) == step


def test_the_id_follows_from_the_content() -> None:
    task = Task(environment="toy", id="1")
    one = Trajectory(task=task, steps=(Step(observation="o", action="a"),))
    same = Trajectory(task=task, steps=(Step(observation="o", action="a"),), provenance=Provenance(created="2026-01-01"))
    other = Trajectory(task=task, steps=(Step(observation="o", action="b"),))
    assert one.id == same.id != other.id
    assert Trajectory.from_json(one.to_json()).id == one.id


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"environment": "toy"}, "id"),
        ({"environment": "toy", "id": ""}, "id"),
        ({"environment": "toy", "id": "1", "instructions": "x"}, "instructions"),
        ([], "Task"),
    ],
)
def test_a_wrong_record_names_the_field(data: object, named: str) -> None:
    with pytest.raises(RecordError, match=named):
        Task.from_dict(data)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_scores_are_finite(score: float) -> None:
    with pytest.raises(RecordError, match="score"):
        Recalled.from_dict({"id": "a", "score": score})


def test_metadata_that_json_cannot_write_is_refused() -> None:
    with pytest.raises(RecordError, match="number"):
        Task.from_dict({"environment": "toy", "id": "1", "metadata": {"a": [float("nan")]}})
    with pytest.raises(RecordError, match="number"):  # a copy is not validated
        Task(environment="toy", id="1").model_copy(update={"metadata": {"a": float("nan")}}).to_json()


def test_a_newer_schema_says_to_upgrade() -> None:
    data = Trajectory(task=Task(environment="toy", id="1")).to_dict()
    with pytest.raises(RecordError, match="pip install --upgrade exprag"):
        Trajectory.from_dict({**data, "schema_version": SCHEMA_VERSION + 1})


def test_records_are_frozen() -> None:
    task = Task(environment="toy", id="1")
    with pytest.raises(ValueError, match="frozen"):
        task.id = "2"  # type: ignore[misc]


def test_jsonl_names_the_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    good = Trajectory(task=Task(environment="toy", id="1"))
    assert write_jsonl(path, [good, good]) == 2
    with open(path, "a") as out:
        out.write('{"id": "half')
    with pytest.raises(RecordError, match="line 3"):
        list(read_jsonl(path))
    assert list(read_jsonl(path, torn_tail_ok=True)) == [good, good]
    assert json.loads(path.read_text().splitlines()[0])["task"]["id"] == "1"
