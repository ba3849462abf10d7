"""The built-in query strategies: key and query match, and say when they refresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from exprag import Step, Task, Trajectory
from exprag.bank import Bank
from exprag.contracts.query_strategy import Moment, QueryStrategy
from exprag.errors import ConfigError
from exprag.memory import MemoryState
from exprag.plugins import create
from exprag.retrieval import Retriever
from exprag.testing.material import moments
from exprag_retrievers import STRATEGIES

STEPS = tuple(Step(observation=f"room {n}", action=f"go {n}") for n in range(4))


def task(**about: str) -> Task:
    return Task(environment="house", id="7", **about)


def episode(instruction: str, *told: tuple[str, str], id: str = "7", valid: bool | None = None) -> Trajectory:
    """(action, its answer) pairs, begun in a room."""
    seen = ["You are in a room.", *(answer for _, answer in told)]
    steps = tuple(Step(observation=seen[n], action=action, valid=valid) for n, (action, _) in enumerate(told))
    task = Task(environment="house", id=id, instruction=instruction)
    return Trajectory(task=task, steps=steps, final_observation=seen[-1], success=True)


MUG = episode(
    "put a clean mug on the desk",
    ("go to shelf 1", "On the shelf 1, you see a mug 1."),
    ("take mug 1 from shelf 1", "You pick up the mug 1."),
    ("go to sinkbasin 1", "On the sinkbasin 1, you see nothing."),
    ("clean mug 1 with sinkbasin 1", "You clean the mug 1."),
    ("go to desk 1", "On the desk 1, you see a pen 1."),
    ("move mug 1 to desk 1", "You move the mug 1 to the desk 1."),
)


def test_task_is_static_and_asks_with_the_key():
    strategy = create("query_strategy", "task")
    for about in ({"instruction": "put a mug away", "type": "put"}, {"type": "put"}, {}):
        key = strategy.key(Trajectory(task=task(**about), steps=STEPS))
        assert key == strategy.query(Moment(task(**about), STEPS[:2], "room 2"))
        assert key == about.get("instruction", about.get("type", "7"))
    assert strategy.refresh == "once"


def test_trajectory_is_dynamic_and_its_query_grows_into_the_key():
    strategy = create("query_strategy", "trajectory")
    whole = Trajectory(task=task(instruction="put a mug away"), steps=STEPS, final_observation="Done.")
    assert strategy.refresh == "every_step"
    assert strategy.key(whole) == strategy.query(Moment(whole.task, STEPS, "Done."))
    partial = strategy.query(Moment(whole.task, STEPS[:2], STEPS[2].observation))
    assert strategy.key(whole).startswith(partial)
    assert "go 1" in partial
    assert "go 2" not in partial


def test_the_query_can_be_limited_to_the_last_steps():
    strategy = create("query_strategy", "trajectory", last=1)
    query = strategy.query(Moment(task(instruction="put a mug away"), STEPS[:3], "here"))
    assert query == "put a mug away\nroom 2\n> go 2\nhere"
    with pytest.raises(ConfigError, match="It takes: last"):
        create("query_strategy", "trajectory", first=1)
    with pytest.raises(ConfigError, match="0 for all"):
        create("query_strategy", "trajectory", last=-1)


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_empty_episode_has_a_query_and_a_key(name):
    strategy = create("query_strategy", name)
    assert isinstance(strategy, QueryStrategy)
    assert strategy.query(Moment(task()))
    assert strategy.key(Trajectory(task=task())) or name == "step"  # no step, nothing to find it by


def test_observations_are_the_key_each_once():
    seen = create("query_strategy", "last_observation")
    twice = episode("x", ("look", "a mug"), ("look", "a mug"), ("look", "a pen"))
    assert seen.key(twice) == "You are in a room.\na mug\na pen"
    assert seen.query(Moment(twice.task, twice.steps, "a pen")) == "a pen"
    both = create("query_strategy", "task_and_observation")
    assert both.key(twice) == "x\nYou are in a room.\na mug\na pen"
    assert both.query(Moment(twice.task, twice.steps, "a pen")) == "x\na pen"


def test_state_is_goal_place_and_inventory():
    strategy = create("query_strategy", "state")
    queries = [strategy.query(moment) for moment in moments(MUG)]
    goal = "put a clean mug on the desk"
    assert queries == [
        goal,
        f"{goal}\nat: shelf",
        f"{goal}\nat: shelf\nholding: mug",
        f"{goal}\nat: sinkbasin\nholding: mug",
        f"{goal}\nat: sinkbasin\nholding: mug",
        f"{goal}\nat: desk\nholding: mug",
        f"{goal}\nat: desk",
    ]
    assert strategy.key(MUG) == f"{goal}\nat: shelf, sinkbasin, desk\nholding: mug"
    assert [strategy.subgoal(moment) for moment in moments(MUG)] == queries


def test_state_without_places_changes_with_what_is_held():
    strategy = create("query_strategy", "state", place=False)
    subgoals = [strategy.subgoal(moment) for moment in moments(MUG)]
    assert len(dict.fromkeys(subgoals)) == 2
    assert strategy.key(MUG) == create("query_strategy", "state").key(MUG)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ([("go to shelf 1", "Nothing happens.")], ""),
        ([("take mug from shelf", "You can't see any mug.")], ""),
        ([("open door", "The door is now open."), ("go to hallway", "You move to the hallway.")], "at: hallway"),
        ([("pick up stopwatch", "You move the stopwatch to the inventory.")], "holding: stopwatch"),
        ([("pick up egg", "Taken."), ("move egg in inventory to blue box", "You move the egg.")], ""),
        ([("pick up egg", "Taken."), ("move block to plane", "You move the block.")], "holding: egg"),
        ([("pick up egg", "Taken."), ("put down egg", "You put down the egg.")], ""),
        ([("take the mug", "Taken."), ("take pen", "Taken.")], "holding: mug, pen"),
        ([("go north", "-= Pantry =-\nYou've entered a pantry.")], "at: pantry"),
        ([("go to desk 1", "On the desk 1."), ("go north", "A corridor.")], ""),
        ([("teleport to kitchen", "You teleport to the kitchen.")], "at: kitchen"),
        ([("enter the kitchen", "You are in the kitchen.")], "at: kitchen"),
        ([("search[red shoes]", "Page 1"), ("click[B01]", "Red shoes, size 9")], ""),
    ],
)
def test_the_state_is_read_in_whatever_environment(told, state):
    played = episode("x", *told)
    query = create("query_strategy", "state").query(moments(played)[-1])
    assert query == "\n".join(filter(None, ["x", state]))


def test_what_was_not_understood_changes_nothing():
    played = episode("x", ("go to shelf 1", "Pardon?"), valid=False)
    assert create("query_strategy", "state").query(moments(played)[-1]) == "x"


@pytest.mark.parametrize("name", ["trajectory", "task_and_observation", "last_observation", "step"])
def test_the_subgoal_of_a_dynamic_strategy_is_what_is_held(name):
    strategy = create("query_strategy", name)
    subgoals = [strategy.subgoal(moment) for moment in moments(MUG)]
    assert [subgoals.index(text) for text in subgoals] == [0, 0, 2, 2, 2, 2, 0]


def test_step_keys_are_what_was_done_and_then_seen():
    strategy = create("query_strategy", "step")
    keys = strategy.keys(MUG)
    assert keys[0] == "put a clean mug on the desk\nYou are in a room."
    assert keys[2] == "put a clean mug on the desk\n> take mug 1 from shelf 1\nYou pick up the mug 1."
    assert [strategy.query(moment) for moment in moments(MUG)][:-1] == keys
    with pytest.raises(ConfigError, match="0 or more steps"):
        create("query_strategy", "step", before=-1)


def test_step_brings_back_a_window_round_the_step(tmp_path: Path):
    bank = Bank.create(tmp_path / "bank", strategies=("step",))
    bank.add([MUG, episode("put a book away", ("go to shelf 2", "On the shelf 2, you see a book 1."), id="8")])
    retriever = Retriever(bank, create("query_strategy", "step", before=1, after=1), k=1, key_strategy="step")
    now = Moment(
        Task(environment="house", id="9", instruction="put a clean cup on the desk"),
        (Step(observation="a shelf", action="take cup 2 from shelf 2"),),
        "You pick up the cup 2.",
    )
    found = retriever.retrieve(now)
    assert found is not None
    (candidate,) = found.candidates
    assert candidate.step == 2
    assert candidate.trajectory.id == MUG.id
    assert candidate.trajectory.actions == MUG.actions[1:4]


def test_on_change_asks_when_the_state_has_changed(tmp_path: Path):
    bank = Bank.create(tmp_path / "bank", strategies=("state",))
    bank.add([MUG])
    retriever = Retriever(bank, "state", k=1)
    assert retriever.refresh == "on_change"
    other = episode("put a clean mug on the desk", *[(s.action, f"answer {n}") for n, s in enumerate(MUG.steps)], id="9")
    asked, previous = [], None
    for at, moment in enumerate(moments(other)):
        found = retriever.retrieve(moment, previous=previous)
        if found is not None:
            asked.append(at)
            previous = MemoryState(subgoal=found.subgoal)
    assert asked == [0, 1, 2, 3, 5, 6]  # cleaning the mug changes neither place nor inventory
