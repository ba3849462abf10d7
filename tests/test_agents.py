from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprag.agents import build_messages, load_style, read_messages
from exprag.agents.templates import fill, match
from exprag.errors import ConfigError
from exprag.memory import build_block
from exprag.plugins import create
from exprag.retrieval import Candidate
from exprag.trajectory import Step, Task, Trajectory

TEMPLATES = ("go to {place}", "take {thing} from {place}", "look", "look at {thing}")


@pytest.mark.parametrize(
    ("response", "action", "noted"),
    [
        ("go to desk 1", "go to desk 1", False),
        ("> go to desk 1", "go to desk 1", False),
        ("Action: `look`", "look", False),
        ("1. take mug 1 from desk 1", "take mug 1 from desk 1", False),
        ("I should look around first.\nlook", "look", True),
        ("look\ngo to desk 1", "look", True),
        ("dance wildly", "dance wildly", False),
        ("", "", True),
        ("  \n\n ", "", True),
    ],
)
def test_act_reads_a_turn(response: str, action: str, noted: bool) -> None:
    turn = load_style("act").parse(response, TEMPLATES)
    assert turn.action == action
    assert (turn.note is not None) == noted


@given(st.text(max_size=200))
def test_act_never_raises_and_gives_one_line(response: str) -> None:
    assert "\n" not in load_style("act").parse(response, TEMPLATES).action


def test_templates_match_and_fill() -> None:
    assert match("take mug 1 from desk 2", TEMPLATES) == ("take {thing} from {place}", ("mug 1", "desk 2"))
    assert match("LOOK AT lamp", TEMPLATES) == ("look at {thing}", ("lamp",))
    assert match("sing", TEMPLATES) is None
    assert fill("take {thing} from {place}", ["a", "b"]) == "take a from b"


def test_messages_are_read_back() -> None:
    old = Task(environment="toy", id="0", instruction="old")
    past = Trajectory(task=old, success=True, steps=(Step(observation="x", action="y"),))
    block = build_block([Candidate(past, 1.0)], create("formatter", "chat_json"))
    task = Task(environment="toy", id="1", instruction="put a\n\nmug away")
    steps = [Step(observation="one", action="look"), Step(observation="two", action="go to desk 1")]
    view = read_messages(build_messages(load_style("act"), task, TEMPLATES, steps, "three", block.text))
    assert view.templates == TEMPLATES
    assert [entry.outcome for entry in view.entries] == ["successful"]
    assert view.instruction == task.instruction
    assert view.turns == (("one", "look"), ("two", "go to desk 1"))
    assert view.observation == "three"


def test_memory_stands_before_the_task() -> None:
    task = Task(environment="toy", id="1", instruction="THE TASK")
    system = str(build_messages(load_style("act"), task, TEMPLATES, [], "now", "THE MEMORY")[0].content)
    assert system.index("go to {place}") < system.index("THE MEMORY") < system.index("THE TASK")


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'act'"):
        load_style("acts")
