"""The parts of the case-based baseline, each by itself: texts, cases, analogy, places, alternatives."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from exprag.trajectory import Step, Task, Trajectory
from exprag_formatters.chat_json import ChatJson
from exprag_models.case_based.analogy import Analogy
from exprag_models.case_based.branch import alternative_of, alternatives, other, reading, same_sight
from exprag_models.case_based.cases import Case, core, read_act, read_case
from exprag_models.case_based.text import choices, closed, longest_first, numbered, phrases, refuses
from exprag_models.case_based.world import World

FORMS = ("go to {room}", "open {thing}", "take {thing}", "put {thing} in {box}", "listen", "look")


def recorded(instruction: str, first: str, *turns: tuple[str, str]) -> Case:
    """A case by way of the real formatter."""
    observations = [first, *(after for _, after in turns)]
    steps = tuple(Step(observation=o, action=a) for o, (a, _) in zip(observations, turns, strict=False))
    task = Task(environment="manor", id="1", split="train", instruction=instruction)
    body = ChatJson().format(Trajectory(task=task, steps=steps, final_observation=observations[-1]))
    case = read_case("successful", body, FORMS)
    assert case is not None
    return case


def described(name: str, *things: str) -> str:
    return "\n\t".join([f"This hall is called the {name}. You see:", *things])


CELLAR = described("cellar", "a lamp", "a red chest (containing nothing)", "A gate to the attic (that is shut)")
ATTIC = described("attic", "a bell", "A gate to the cellar (that is open)", "A gate to the porch (that is shut)")
MANOR = recorded(
    "Carry the bell to the red chest.",
    CELLAR,
    ("open gate to attic", "The gate is open."),
    ("go to attic", "You walk."),
    ("look", ATTIC),
    ("take bell", "You hold the bell."),
    ("go to cellar", "You walk."),
    ("put bell in red chest", "Done."),
    ("put bell in red chest", "Done."),
    ("fly", "That is not possible."),
)


def test_a_case_keeps_what_was_done_to_things() -> None:
    assert [(step.act.text, step.place) for step in MANOR.plan] == [("take bell", "attic"), ("put bell in red chest", "cellar")]
    assert MANOR.plan[1].cores == ("bell", "red chest")
    assert MANOR.approaches == ("open gate to {}",)
    assert MANOR.looks == ("look",)
    assert ("cellar", "attic") in MANOR.ways


def test_the_world_finds_its_way() -> None:
    world = World([MANOR])
    world.begin(described("porch", "a rug", "A gate to the attic (that is shut)", "A gate to the roof (that is open)"))
    assert world.place == "porch"
    assert world.way("cellar") == "attic"  # heard of in the recalled episode only
    assert world.unvisited() == ["attic", "roof", "cellar"]
    assert world.is_closed("gate to roof") is False
    world.blocked.add(("porch", "attic"))
    assert world.way("cellar") is None


def test_analogy_carries_what_the_instructions_change() -> None:
    analogy = Analogy("put a red mug (wood, iron) in it", "put a red old plate (tin, lead) in it")
    assert analogy.carry("Mug 1 of iron, on wood") == "old plate 1 of lead, on tin"
    letter = Analogy("test unknown powder B", "test unknown powder K")
    assert letter.carry("powder b in pot") == "powder k in pot"
    assert letter.carry("the letter b") == "the letter b"
    assert letter.key("unknown powder B in pot") == "unknown powder b"
    assert Analogy("same", "same").carry("Mug 1") == "Mug 1"


def test_analogy_learns_from_what_a_step_tells() -> None:
    analogy = Analogy("make paint", "make paint")
    assert not analogy.changes("salt")
    analogy.align("You need salt, water.", "You need sugar, water.")
    assert analogy.carry("salt jar") == "sugar jar"
    assert not analogy.changes("salt")  # not the instruction's own


def test_a_core_is_what_the_text_calls_the_thing() -> None:
    text = "Here you see: a turtle egg, a tin cup (containing water)"
    assert core("egg turtle in garden", text) == "turtle egg"
    assert core("substance in tin cup", text) == "tin cup"
    assert core("unicorn", text) == ""


def test_an_act_without_a_template_is_verb_and_value() -> None:
    act = read_act("examine  brass key", FORMS)
    assert (act.template, act.values) == ("examine {x}", ("brass key",))
    assert read_act("go to the attic", FORMS).place == "attic"


def test_texts() -> None:
    assert phrases("On the table is: a cup (containing tea), and a door.") == ("on table", "cup", "tea", "door")
    assert numbered("a shelf 2, a shelf 1, and a desk lamp 3") == ("shelf 2", "shelf 1", "lamp 3")
    assert refuses("Nothing happens.")
    assert refuses("You can't do that.")
    assert not refuses("You see nothing.")
    assert not refuses("You pick up the unknown powder.")
    assert closed("A gate (that is closed)\nA door (that is open)", "door") is False
    assert choices("Which?\n0:\ttake cup\n1:\ttake mug") == [("0", "take cup"), ("1", "take mug")]
    assert choices("1: one alone") == []


def test_alternatives_by_number() -> None:
    options = alternatives("Weigh it. If it is above 12.5 grams, use the red box. If it is below 12.5 grams, use the blue box.")
    assert [option.holds(20.0) for option in options] == [True, False]
    assert alternative_of(options, "red box") == 0
    assert alternative_of(options, "box") is None
    assert other(options, 0, "red box", 1) == "blue box"
    assert reading("The scale shows -3.5 grams") == -3.5
    assert reading("none") is None
    assert alternatives("Go home.") == []


def test_alternatives_by_sight() -> None:
    analogy = Analogy("test the coin", "test the fork")
    assert same_sight("a red bulb, which is off", "a rug\na red bulb, which is off", ["red bulb"], analogy)
    assert not same_sight("a red bulb, which is off", "a rug\na red bulb, which is on", ["red bulb"], analogy)
    assert same_sight("a coin, which is cold", "a fork, which is cold", ["coin"], analogy)


def test_longer_names_come_first_whatever_the_order() -> None:
    assert longest_first({"substance b", "unknown substance b"}) == ["unknown substance b", "substance b"]
    assert longest_first(["pan", "cup", "kettle"]) == ["kettle", "cup", "pan"]


SUBSTANCE = """
from test_case_based_parts import FORMS, described, recorded
from exprag_models.case_based.player import Player

lab = described("lab", "a bell", "unknown substance B", "a red chest")
turns = ("look", lab), ("take it", "You move the unknown substance B."), ("listen", "Hm.")
case = recorded("Take unknown substance B.", lab, *turns)
now = lab.replace("B", "Z")
player = Player("Take unknown substance Z.", FORMS, [case])
actions = []
for _ in range(6):
    player.see(now)
    actions.append(player.act())
print(actions)
"""


def test_the_same_actions_in_every_process() -> None:
    """A step whose answer holds two names that the instruction changes, one within the other, is done by the longer one."""
    played = set()
    for seed in range(4):
        run = partial(subprocess.run, env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True, text=True, check=True)
        played.add(run([sys.executable, "-c", SUBSTANCE], cwd=Path(__file__).parent).stdout)
    assert len(played) == 1
    assert "take unknown substance z" in played.pop()
