"""The built-in distillers: what they write from which failures, and what they make of bad answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from exprag.items import ANSWER, INSTANCE
from exprag.plugins import create
from exprag.testing import DistillerConformance, check_distiller
from exprag.trajectory import Step, Task, Trajectory
from exprag_distillers.asking import read_object
from exprag_distillers.chat import Chat, check, rules
from exprag_distillers.expert import Expert, course_of, parting
from exprag_distillers.feedback import Feedback
from exprag_distillers.rules import make_items
from scripted import Scripted

HOME = "alfworld-generated"


def episode(
    actions: Sequence[tuple[str, str]], *, success: bool, task: str = "t0", thing: str = "mug", **fields: Any
) -> Trajectory:
    """An episode of (observation, action) pairs."""
    about = Task(environment=HOME, id=task, type="pick", instruction=f"put a {thing} in shelf.")
    steps = [Step(observation=text, action=action, valid=text != "Nothing happens.") for text, action in actions]
    return Trajectory(task=about, steps=tuple(steps), success=success, score=float(success), **fields)


def won(task: str = "t0", thing: str = "mug", place: str = "desk") -> Trajectory:
    pairs = [
        ("You are in the middle of a room.", f"go to {place} 1"),
        (f"On the {place} 1, you see a {thing} 2.", f"take {thing} 2 from {place} 1"),
        (f"You pick up the {thing} 2.", "go to shelf 1"),
        ("On the shelf 1, you see nothing.", f"move {thing} 2 to shelf 1"),
    ]
    return episode(pairs, success=True, task=task, thing=thing, source="expert")


LOST = episode([("You are in the middle of a room.", "go to bed 1"), ("On the bed 1, you see a mug 3.", "look")], success=False)


class TestFeedback(DistillerConformance):
    def make(self) -> Feedback:
        return Feedback()


class TestExpert(DistillerConformance):
    def make(self) -> Expert:
        return Expert()


def test_the_expert_tells_the_order_and_where_things_are() -> None:
    others = [won(), won("t1", "book", "bed"), won("t2", "pen", "sofa")]
    distillate = Expert().distill([LOST], others)
    assert [item.text for item in distillate.items] == [
        "Do in order: take {object} from {any receptacle}; move {object} to shelf.",
        "Look for mug at desk first.",
    ]
    assert {source.episode for item in distillate.items for source in item.sources} == {LOST.id}
    assert all(item.usable for item in distillate.items)
    assert "no expert has solved" in Expert().distill([LOST], others[1:]).refusals[0].reason


def test_a_value_that_every_run_has_at_its_place_stands_in_words() -> None:
    runs = [won(), won("t1", "book"), won("t2", "pen")]
    assert "take {object} from desk" in course_of(runs[0], 0, runs)
    assert "take {object} from {any receptacle}" in course_of(runs[0], 0, runs[:2])  # two are too few to know


def test_runs_part_at_the_first_other_action() -> None:
    assert parting(LOST, won()) == 0
    assert parting(won(), won()) == 4


def test_feedback_alone_tells_where_things_were_seen_and_what_went_wrong() -> None:
    texts = [item.text for item in Feedback().distill([LOST]).items]
    assert texts[0] == "Look for mug at bed first."
    assert "Take the {object} that the task names as soon as you see it." in texts
    assert not any("shelf" in text for text in texts)


def test_feedback_names_the_action_that_earned_a_part_of_the_score() -> None:
    shop = Task(environment="webshop", id="B1/0", type="beauty", instruction="find me soap")
    steps = (Step(observation="a page", action="search[soap]"), Step(observation="results", action="click[Buy Now]", reward=0.5))
    half = Trajectory(task=shop, steps=steps, success=False, score=0.5)
    assert Feedback().distill([half]).items[0].text == "End with click[Buy Now]: it is what earns the score."


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("Take mug 3 at once.", (INSTANCE,)),
        ("Open the {container} first.", ()),
        ("Click b09kgn7xf4 at once.", (ANSWER,)),
    ],
)
def test_what_gives_an_episode_away_is_flagged(text: str, flags: tuple[str, ...]) -> None:
    shop = won().model_copy(update={"steps": (*won().steps, Step(observation="page", action="click[b09kgn7xf4]"))})
    (item,) = make_items([text], [LOST], distiller="d", others=[shop])
    assert item.flags == flags
    assert item.usable == (not flags)


@pytest.mark.parametrize(
    ("answer", "texts", "problem"),
    [
        ('{"hints": ["Look first.", "Then go."]}', ["Look first.", "Then go."], ""),
        ('Here you are:\n```json\n{"hints": ["Look first."]}\n```', ["Look first."], ""),
        ("Always look first.", [], "no JSON object"),
        ('{"hints": [1]}', [], "no list of texts"),
        ('{"rules": []}', [], "no list of texts"),
        ('{"hints": []}', [], "empty"),
        ('{"hints": ["a", "b", "c", "d", "e"]}', ["a", "b", "c", "d"], "5 hints"),
        ('{"hints": ["Look.", "' + "x" * 121 + '"]}', ["Look."], "longer than 120"),
        ('{"hints": [', [], "no JSON object"),
        ('{"hints": [}', [], "not JSON"),
    ],
)
def test_answers_are_read_or_said_to_be_wrong(answer: str, texts: list[str], problem: str) -> None:
    fields, why = read_object(answer)
    why = why or check(fields)
    assert rules(fields) == texts
    assert problem in why
    assert bool(problem) == bool(why)


def test_a_chat_models_rules_are_hints_with_their_origin_and_tokens() -> None:
    model = Scripted(turns=['{"hints": ["open {container} before you look;", "Take mug 3 at once."]}'])
    distillate = Chat(model).distill([LOST])
    assert [item.text for item in distillate.items] == ["Open {container} before you look.", "Take mug 3 at once."]
    assert [item.usable for item in distillate.items] == [True, False]
    assert distillate.items[0].model == "Scripted"
    assert distillate.usage is not None
    assert (distillate.usage.prompt, distillate.usage.completion) == (10, 2)
    shown = str(model.prompts[0][1].content)
    assert "put a mug in shelf" in shown
    assert "Action: go to bed 1" in shown
    assert "go to {receptacle}" in shown


def test_an_answer_in_prose_is_sent_back_once_and_then_refused() -> None:
    model = Scripted(turns=["I would look first.", '{"hints": ["Look first."]}'])
    assert [item.text for item in Chat(model).distill([LOST]).items] == ["Look first."]
    assert "no JSON object" in str(model.prompts[1][-1].content)
    stubborn = Scripted(turns=["I would look first."])
    distillate = Chat(stubborn).distill([LOST])
    assert distillate.items == ()
    assert "no JSON object" in distillate.refusals[0].reason
    assert len(stubborn.prompts) == 2


ANSWERS = {
    "chat": '{"hints": ["Look first."]}',
    "insights": '{"operations": [{"operation": "add", "text": "Look before you go."}]}',
    "strategies": '{"items": [{"title": "Look", "description": "Looking helps.", "content": "Look before you go."}]}',
    "playbook": '{"helpful": [1], "harmful": [], "add": ["Look before you go."]}',
    "cheat_sheet": '{"sheet": "Look before you go."}',
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("prose", [False, True])
def test_those_that_ask_a_model_pass_the_kit_whatever_it_says(name: str, prose: bool) -> None:
    turns = ["I would look first."] if prose else [ANSWERS[name]]
    results = list(check_distiller(lambda: create("distiller", name, model=Scripted(turns=turns))))
    assert [f"{result.name}: {result.detail}" for result in results if result.passed is False] == []
    written = next(result.detail for result in results if result.name == "gives items or says why not")
    assert written.startswith("0 items") == prose


def test_workflows_are_the_routines_of_won_runs_the_commonest_first() -> None:
    runs = [won(), won("t1", "book", "bed"), won("t2", "pen", "sofa")]
    (item,) = create("distiller", "workflows").distill(runs).items
    assert item.text == "Do in order: take {object} from {any receptacle}; move {object} to shelf."
    assert (item.kind, len(item.sources), item.type) == ("workflow", 3, "pick")


def test_insights_are_edited_by_operations_and_go_where_they_are_taken_out() -> None:
    first = '{"operations": [{"operation": "add", "text": "Look first."}, {"operation": "add", "text": "Wait."}]}'
    edits = '{"operation": "edit", "number": 1, "text": "Look round first."}, {"operation": "remove", "number": 2}'
    second = f'{{"operations": [{edits}]}}'
    third = '{"operations": [{"operation": "remove", "number": 2}, {"operation": "agree", "number": 9}]}'
    failures = [LOST, LOST.model_copy(update={"id": "e2"}), LOST.model_copy(update={"id": "e3"})]
    model = Scripted(turns=[first, second, third])
    (item,) = create("distiller", "insights", model=model).distill([*failures, won()]).items
    assert item.text == "Look round first."
    assert [source.episode for source in item.sources] == [LOST.id, "e2"]
    assert "The run succeeded" in str(model.prompts[0][1].content)


def test_a_playbook_joins_what_is_alike_and_drops_what_harms() -> None:
    turns = [
        '{"add": ["Look round before you go.", "Wait for help."]}',
        '{"add": ["Look around before you go."], "harmful": [2], "helpful": [1]}',
    ]
    items = create("distiller", "playbook", model=Scripted(turns=turns)).distill([LOST, won()]).items
    assert [item.text for item in items] == ["Look round before you go."]
    assert len(items[0].sources) == 2


def test_a_cheat_sheet_is_one_text_and_keeps_the_last_good_one() -> None:
    model = Scripted(turns=['{"sheet": "Look."}', '{"sheet": "Look, then go."}', '{"sheet": ""}'])
    failures = [LOST, LOST.model_copy(update={"id": "e2"}), LOST.model_copy(update={"id": "e3"})]
    distillate = create("distiller", "cheat_sheet", model=model).distill(failures)
    assert [item.text for item in distillate.items] == ["Look, then go."]
    assert [source.episode for source in distillate.items[0].sources] == [LOST.id, "e2"]
    assert distillate.refusals[0].episodes == ("e3",)


def test_those_that_edit_go_on_from_the_items_that_are_there() -> None:
    later = LOST.model_copy(update={"id": "e2"})
    turns = {
        "cheat_sheet": ['{"sheet": "Look."}', '{"sheet": "Look, then go."}'],
        "insights": ['{"operations": [{"operation": "add", "text": "Look."}]}',
                     '{"operations": [{"operation": "edit", "number": 1, "text": "Look, then go."}]}'],
        "playbook": ['{"add": ["Look."]}', '{"helpful": [1], "add": ["Go."]}'],
    }  # fmt: skip
    for name, answers in turns.items():
        model = Scripted(turns=answers)
        distiller = create("distiller", name, model=model)
        assert distiller.edits
        first = distiller.distill([LOST]).items
        second = distiller.distill([later], items=first).items
        assert "Look." in str(model.prompts[1][1].content)
        assert [item.text for item in first] == ["Look."]
        assert [item.text for item in second] == (["Look.", "Go."] if name == "playbook" else ["Look, then go."])
        assert {source.episode for source in second[0].sources} == {LOST.id, "e2"}


def test_what_was_there_stays_where_the_model_gives_nothing() -> None:
    for name in ("cheat_sheet", "insights", "playbook"):
        first = create("distiller", name, model=Scripted(turns=[ANSWERS[name]])).distill([LOST]).items
        distillate = create("distiller", name, model=Scripted(turns=["Prose."])).distill([LOST], items=first)
        assert distillate.items == first
        assert distillate.refusals
