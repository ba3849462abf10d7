from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprag.contracts.selector import Candidate
from exprag.contracts.style import load_style
from exprag.contracts.templates import fill, match
from exprag.errors import ConfigError, PluginError
from exprag.memory import MemoryState, PlacedBlock
from exprag.plugins import create
from exprag.prompt import PLACEMENTS, History, Prompt, read_messages
from exprag.prompt.block import build_block
from exprag.trajectory import Step, Task, Trajectory

TEMPLATES = ("go to {place}", "take {thing} from {place}", "look", "look at {thing}")


def prompt_at(placement: str) -> Prompt:
    return Prompt(load_style("act"), TEMPLATES, placement)


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


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_messages_are_read_back(placement: str) -> None:
    old = Task(environment="toy", id="0", instruction="old")
    past = Trajectory(task=old, success=True, steps=(Step(observation="x", action="y"),))
    block = build_block([Candidate(past, 1.0)], create("formatter", "chat_json"))
    task = Task(environment="toy", id="1", instruction="put a\n\nmug away")
    steps = [Step(observation="one", action="look"), Step(observation="two", action="go to desk 1")]
    memory = MemoryState.from_text(block.text, 1)
    view = read_messages(prompt_at(placement).messages(task, steps, "three", memory, ("look first", "then go")))
    assert view.hints == ("look first", "then go")
    assert view.templates == TEMPLATES
    assert [entry.outcome for entry in view.entries] == ["successful"]
    assert view.instruction == task.instruction
    assert view.turns == (("one", "look"), ("two", "go to desk 1"))
    assert view.observation == "three"


def test_where_memory_stands() -> None:
    task = Task(environment="toy", id="1", instruction="THE TASK")
    step = Step(observation="first", action="look")
    told = {p: prompt_at(p).messages(task, [step], "now", MemoryState.from_text("THE MEMORY", 1)) for p in PLACEMENTS}
    system, after = str(told["system"][0].content), str(told["task"][0].content)
    assert system.index("go to {place}") < system.index("THE MEMORY") < system.index("THE TASK")
    assert after.index("THE TASK") < after.index("THE MEMORY")
    assert [str(m.content) for m in told["tail"][1:]] == ["first", "look", "THE MEMORY\n\nnow"]
    grown = MemoryState(blocks=tuple(PlacedBlock(text=t, step=n) for t, n in (("FIRST", 0), ("SECOND", 1), ("LATER", 1))))
    assert [str(m.content) for m in prompt_at("tail").messages(task, [step], "now", grown)[1:]] == [
        "FIRST\n\nfirst",
        "look",
        "SECOND\n\nLATER\n\nnow",
    ]
    with pytest.raises(ConfigError, match="tail"):
        prompt_at("above")


def test_examples_are_written_in_the_style_and_never_of_the_task_itself() -> None:
    task = Task(environment="toy", id="1", instruction="THE TASK")
    other = Task(environment="toy", id="2", instruction="OTHER")
    shown = [Trajectory(task=t, steps=(Step(observation="x", action=f"did {t.id}"),)) for t in (task, other)]
    system = str(Prompt(load_style("act"), TEMPLATES, examples=tuple(shown)).messages(task, [], "now")[0].content)
    assert "did 2" in system
    assert "did 1" not in system
    view = read_messages(Prompt(load_style("act"), TEMPLATES, examples=tuple(shown)).messages(task, [], "now"))
    assert view.instruction == "THE TASK"


def test_a_long_history_is_compressed_seldom_and_always_within_reach() -> None:
    history = History(40, recent=2)
    steps = [Step(observation=f"room {n} " + "x" * 40, action=f"go {n}") for n in range(12)]
    prompt = Prompt(load_style("act"), TEMPLATES, history=history)
    task = Task(environment="toy", id="1", instruction="THE TASK")
    starts = []
    for count in range(len(steps)):
        first, earlier = history.compress(steps[:count], [s.action for s in steps[:count]])
        starts.append(first)
        assert earlier.count("\n") == first
        messages = prompt.messages(task, steps[:count], "now")
        assert len(messages) == 2 + 2 * (count - first)
        view = read_messages(messages)
        assert view.observation == "now"
        assert view.turns == tuple((s.observation, s.action) for s in steps[first:count])
    assert starts == sorted(starts)
    assert len(set(starts)) < len(starts) - 2
    assert starts[-1] > 0


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(PluginError, match="Did you mean 'act'"):
        load_style("acts")
