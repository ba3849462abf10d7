"""Requests as people write them find the runs that are like them, by words alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from exprag import Step, Task, Trajectory
from exprag.bank import Bank
from exprag.bank.words import Vocabulary

# Goals as a household's bank says them, in the older wording of ALFWorld: type, object, place
FORMS = {
    "put": "put some {} on {}.",
    "two": "find two {} and put them in {}.",
    "clean": "clean some {} and put it in {}.",
    "heat": "put a hot {} in {}.",
    "cool": "cool some {} and put it in {}.",
}
THINGS = ("soapbar", "soapbottle", "toiletpaper", "cellphone", "creditcard", "alarmclock", "mug", "plate")
PLACES = ("cabinet", "countertop", "garbagecan", "diningtable", "coffeemachine", "armchair")
GOALS = [(kind, thing, place) for kind in FORMS for thing in THINGS for place in PLACES]
REQUESTS = {
    "Put a soap bar in the cabinet": ("put", "soapbar", "cabinet"),
    "Place cleaned bars of soap on the counter.": ("clean", "soapbar", "countertop"),
    "put 2 rolls of toilet paper in a cabinet": ("two", "toiletpaper", "cabinet"),
    "Throw two cell phones into the garbage can": ("two", "cellphone", "garbagecan"),
    "Move the credit card to the arm chair": ("put", "creditcard", "armchair"),
    "set 2 alarm clocks on the table": ("two", "alarmclock", "diningtable"),
    "Place a cooled mug under the coffee maker.": ("cool", "mug", "coffeemachine"),
    "Heated plates are to be put on the dining table": ("heat", "plate", "diningtable"),
    "put soap bottles in cabinets": ("put", "soapbottle", "cabinet"),
}


def make_bank(folder: Path, goals: dict[str, str]) -> Bank:
    bank = Bank.create(folder)
    steps = (Step(observation="A room.", action="look"),)
    tasks = [Task(environment="house", id=name, instruction=goal) for name, goal in goals.items()]
    bank.add(Trajectory(task=task, steps=steps, success=True) for task in tasks)
    return bank


def gain(ranks: list[int]) -> float:
    return sum(points / math.log2(place + 2) for place, points in enumerate(ranks))


def test_requests_find_what_is_like_them(tmp_path: Path) -> None:
    """nDCG@10 with a point for each of type, object and place; .60 before compounds and numbers were understood."""
    bank = make_bank(tmp_path / "bank", {" ".join(goal): FORMS[goal[0]].format(*goal[1:]) for goal in GOALS})
    values = {}
    for text, goal in REQUESTS.items():
        worth = {" ".join(other): sum(map(str.__eq__, goal, other)) for other in GOALS}
        ranks = [worth[hit.trajectory.task.id] for hit in bank.search(text, k=10)]
        values[text] = gain(ranks) / gain(sorted(worth.values(), reverse=True)[:10])
    assert sum(values.values()) / len(values) > 0.85, values


@pytest.mark.parametrize(
    ("query", "goal"),
    [
        ("soap bar", "clean a soapbar"),
        ("bars of soap", "clean a soapbar"),
        ("soapbar", "clean a soap bar"),
        ("2 mugs", "find two mug"),
        ("two mugs", "find 2 mugs"),
        ("the counter", "wipe the countertop"),
        ("heated cups", "heat a cup"),
        ("mug 1", "take mug 1"),
    ],
)
def test_other_spellings(tmp_path: Path, query: str, goal: str) -> None:
    bank = make_bank(tmp_path / "bank", {"other": "look at a lamp", "right": goal, "third": "open the drawer"})
    assert [hit.trajectory.task.id for hit in bank.search(query)] == ["right"]


def test_a_word_that_the_bank_knows_is_not_guessed_at(tmp_path: Path) -> None:
    """A pen is no pencil where there are pens; and what is said counts more than what is guessed."""
    goals = {"pen": "take a pen", "pencil": "take a pencil", "bottle": "take a soapbottle", "dish": "take the soap dish"}
    bank = make_bank(tmp_path / "bank", goals)
    assert [hit.trajectory.task.id for hit in bank.search("pen")] == ["pen"]
    assert [hit.trajectory.task.id for hit in bank.search("soap")] == ["dish"]


def test_what_a_query_means() -> None:
    vocabulary = Vocabulary(["put a soapbar in cabinet", "two cellphone on countertop", "side table"])
    assert vocabulary.meant("Put 2 bars of soap on the counter") == (["two", "soapbars"], ["countertop"])
    assert vocabulary.meant("cell phones") == (["cellphones"], [])
    assert vocabulary.meant("a sidetable") == ([], ["side", "table"])
    assert vocabulary.meant("put a soapbar in the cabinet") == ([], [])
    assert Vocabulary(f"prefix{number}" for number in range(20)).meant("prefix") == ([], [])
    assert Vocabulary().meant("Put 2 bars") == (["two"], [])
