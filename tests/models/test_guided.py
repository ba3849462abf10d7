"""The baseline reads hints of two forms, and follows a course of them."""

from __future__ import annotations

import pytest

from exprag.graph import build_agent
from exprag.plugins import create
from exprag_models.case_based.guided import Guided
from exprag_models.case_based.rules import read_rules

HOME = ("go to {receptacle}", "open {receptacle}", "take {object} from {receptacle}", "move {object} to {receptacle}", "look")
SHOP = ("search[{keywords}]", "click[{element}]")


def test_hints_of_two_forms_are_read_and_others_passed_over() -> None:
    rules = read_rules(
        [
            "Do in order: take {object} from {any receptacle}; move {object} to shelf.",
            "Do 2 times in order: take {object} from {any receptacle}; move {object} to {receptacle}.",
            "Look for mug at desk first.",
            "Do in order: dance on the table.",
            "Be careful.",
        ],
        HOME,
    )
    assert [len(course) for course in rules.courses] == [2, 4]
    take, move = rules.courses[0]
    assert [(part.slot, part.word, part.named) for part in take.parts] == [("object", "", True), ("receptacle", "", False)]
    assert [(part.slot, part.word, part.named) for part in move.parts] == [("object", "", True), ("receptacle", "shelf", False)]
    assert rules.sights == (("mug", "desk"),)


def test_without_a_course_hints_say_nothing() -> None:
    assert Guided("put the mug away", HOME, read_rules(["Look for mug at desk first."], HOME)).act() is None


def test_on_pages_names_are_those_that_are_marked() -> None:
    course = ["Do in order: search[{keywords}]; click[{any element}]; click[{element}]; click[buy now]."]
    guided = Guided("Find me green soap, with size: large", SHOP, read_rules(course, SHOP))
    results = "[button] Back [button_]\n[button] B1 [button_]\nred chair\n[button] B2 [button_]\nsoap"
    pages = {
        "search[find me green soap with size large]": results,
        "click[b2]": "[button] Back [button_]\nsize [button] small [button_][button] large [button_]\n[button] Buy Now [button_]",
        "click[large]": "[clicked button] large [clicked button_]\n[button] Buy Now [button_]",
        "click[buy now]": "Thank you",
    }
    text, actions = "[button] Search [button_]", []
    while (guided.see(text), action := guided.act())[1]:
        actions.append(action)
        guided.took(action)
        text = pages[action]
    assert actions == list(pages)


@pytest.mark.parametrize(
    ("type_", "hint"),
    [
        ("pick_and_place_simple", "Do in order: take {object} from {any receptacle}; move {object} to {receptacle}."),
        (
            "pick_heat_then_place_in_recep",
            "Do in order: take {object} from {any receptacle}; heat {object} with microwave; move {object} to {receptacle}.",
        ),
    ],
)
def test_one_hint_leads_the_baseline_to_the_goal(type_: str, hint: str) -> None:
    environment = create("environment", "alfworld-generated")
    task = next(iter(environment.tasks("train", [type_])))
    agent = build_agent("alfworld-generated")
    assert agent.invoke({"task": task.id, "hints": [hint]})["trajectory"]["success"]
    assert not agent.invoke({"task": task.id})["trajectory"]["success"]
