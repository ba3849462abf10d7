"""The built-in styles: what each writes it reads back, and what models write instead is repaired and noted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprag.contracts.style import AgentStyle, Turn, last_action, load_style
from exprag.contracts.templates import match
from exprag.plugins import registry
from exprag.prompt import Prompt
from exprag.trajectory import Step, Task, Trajectory

TEMPLATES = ("go to {place}", "take {thing} from {place}", "look")
NAMES = ("act", "react", "stateact")
LABELLED = ("react", "stateact")
STATE = (
    "Goal: find the mug\nLocations visited: desk 1\nCurrent location: desk 1\nCurrent inventory: nothing\n"
    "Thought: it is not here\nAction: go to shelf 1"
)
words = st.text(max_size=60).map(lambda text: " ".join(text.split()))


def test_they_come_as_plugins() -> None:
    assert set(NAMES) <= set(registry().names("style"))


@pytest.mark.parametrize("name", LABELLED)
@given(action=words.filter(bool), thought=words)
def test_what_is_written_is_read_back(name: str, action: str, thought: str) -> None:
    style = load_style(name)
    step = Step(observation="x", action=action, thought=thought or None)
    for turn in (style.write(step), style.write_episode(Task(environment="t", id="1", instruction="a task"), [step])[0]):
        read = style.parse(turn, ())
        assert (read.action, read.thought) == (step.action, step.thought)
        if match(action, TEMPLATES):
            assert style.parse(turn, TEMPLATES).action == action
        assert last_action(turn) == action


@pytest.mark.parametrize("name", NAMES)
@given(
    response=st.one_of(
        st.text(max_size=300),
        st.lists(
            st.sampled_from(
                [
                    "Thought:",
                    "Action:",
                    "Action 2:",
                    "**Action**:",
                    "Observation:",
                    "\n",
                    "```",
                    "look",
                    "{",
                    '"action":',
                    "<think>",
                    "</think>",
                    " ",
                ]
            ),
            max_size=14,
        ).map("".join),
    )
)
def test_no_turn_raises_and_every_action_is_one_line(name: str, response: str) -> None:
    turn = load_style(name).parse(response, TEMPLATES)
    assert isinstance(turn, Turn)
    assert len(turn.action.splitlines()) <= 1
    assert turn.action or turn.note


@pytest.mark.parametrize("name", NAMES)
@given(action=words.filter(bool), more=words)
def test_a_structured_answer_becomes_a_turn_without_a_note(name: str, action: str, more: str) -> None:
    style = load_style(name, structured=True)
    assert style.structured
    assert style.schema is not None
    answer = style.schema(**dict.fromkeys(style.schema.model_fields, more or "-") | {"action": action}).model_dump()
    read = style.parse(style.write_answer(answer), ())
    if name == "act":  # quotes and bullets round a bare action are taken for a model's
        assert read.action in action
    else:
        assert (read.action, read.note) == (action, None)


STRAYS = [
    ("Thought: it is near\nAction: look", "look", "it is near", None),
    ("Thought: it is near.\nIt must be.\nAction: look", "look", "it is near.\nIt must be.", None),
    ("look", "look", None, 'no line "Action:"'),
    ("I will go there.\ngo to desk 1", "go to desk 1", "I will go there.", 'no line "Action:"'),
    ("thought: near\naction: look", "look", "near", "another form"),
    ("**Thought:** near\n**Action:** `look`", "look", "near", "another form"),
    ("Thought 3: near\nAction 3: look", "look", "near", "another form"),
    ("Thought: near Action: look", "look", "near", "another form"),
    ("```\nThought: near\nAction: look\n```", "look", "near", "code fence"),
    ("Thought: near\nAction:\n```\nlook\n```", "look", "near", "code fence"),
    ('```json\n{"thought": "near", "action": "look"}\n```', "look", "near", "JSON"),
    ('Here: {"Thought": "near", "Action": "look"}', "look", "near", "JSON"),
    ("<think>hm, near</think>\nlook", "look", "hm, near", "reasoning tags"),
    ("<think>hm, near</think>\nThought: so\nAction: look", "look", "so", "reasoning tags"),
    (
        "Thought: near\nAction: look\nObservation: a mug\nThought: take\nAction: take mug 1 from desk 1",
        "look",
        "near",
        "2 actions",
    ),
    ("Thought: near\nAction: look\nThat will show it.", "look", "near", "after the action"),
    ('Thought: near\nAction: "look"', "look", "near", "marks"),
    ("Action: look", "look", None, 'no line "Thought:"'),
    ("Thought: I should think about it more and more and", "", "I should think about it more and more and", "no action"),
    ("<think>I should think about it more", "", "I should think about it more", "no action"),
    ("Thought: near\nAction:", "", "near", "no action"),
    ("", "", None, "empty"),
    ("  \n\n ", "", None, "empty"),
]


@pytest.mark.parametrize(("response", "action", "thought", "note"), STRAYS)
def test_react_repairs_what_strays(response: str, action: str, thought: str | None, note: str | None) -> None:
    read = load_style("react").parse(response, TEMPLATES)
    assert (read.action, read.thought) == (action, thought)
    assert (read.note is None) if note is None else note in str(read.note)


@pytest.mark.parametrize(
    ("response", "action", "noted"),
    [
        ("<think>look\nor not</think>\ngo to desk 1", "go to desk 1", True),
        ('{"action": "look"}', "look", True),
        ("```\nlook\n```", "look", True),
    ],
)
def test_act_repairs_what_strays(response: str, action: str, noted: bool) -> None:
    read = load_style("act").parse(response, TEMPLATES)
    assert (read.action, read.note is not None) == (action, noted)

WRAPPED = [
    "Maybe I should\ngo to desk 1\nbut no.\n</think>\n\ngo to shelf 1",
    "go to desk 1 would be wrong</thinking>go to shelf 1",
    "hmm go to desk 1[/THINK]go to shelf 1",
    "<|channel|>analysis<|message|>go to desk 1?<|end|><|start|>assistant<|channel|>final<|message|>go to shelf 1<|return|>",
    "go to desk 1?<|end|><|start|>assistant<|channel|>final<|message|>go to shelf 1",
    "analysisgo to desk 1?\nassistantfinalgo to shelf 1",
    "<answer>go to shelf 1</answer>",
    "I could go to desk 1.\n<answer>\ngo to shelf 1\n</answer>\nDone.",
    "<action>go to shelf 1</action>",
    "<response><action>go to shelf 1</action></response>",
    "<output>go to shelf 1",
    "go to shelf 1<|im_end|>",
    "go to shelf 1</s>",
    "go to shelf 1<end_of_turn>\n<start_of_turn>user\nYou see\ngo to desk 1",
    "go to shelf 1<|eot_id|>",
    "<|im_start|>assistant\ngo to shelf 1<|im_end|>\n<|im_start|>user\nok",
    "assistant\n\ngo to shelf 1",
    "```go to shelf 1```",
    "```\ngo to shelf 1\n```",
    "'go to shelf 1'",
    "“go to shelf 1”",
    "**go to shelf 1**",
    "**Action:** go to shelf 1",
    "**Action: go to shelf 1**",
    "- Action: \"go to shelf 1\"",
    "<thought>maybe go to desk 1</thought>\n<action>go to shelf 1</action>",
    "\\boxed{go to shelf 1}",
    "<|begin_of_box|>go to shelf 1<|end_of_box|>",
    "<tool_call>{\"name\": \"act\", \"arguments\": {\"action\": \"go to shelf 1\"}}</tool_call>",
    "Thought: near\nAction: go to shelf 1<|im_end|>",
    "<think>x</think>\nThought: near\nAction: go to shelf 1</s>",
    "Thought: near</think>\nThought: so\nAction: go to shelf 1",
    "<answer>Thought: near\nAction: go to shelf 1</answer>",
    "The best action is:\n```\ngo to shelf 1\n```\nas it is near",
    "go to shelf 1\nuser\nYou are at shelf 1\nassistant\ntake x from y",
    "◁think▷go to desk 1◁/think▷go to shelf 1",
    "<|channel>thought\ngo to desk 1<channel|>go to shelf 1<turn|>",
    "<|START_THINKING|>go to desk 1<|END_THINKING|><|START_RESPONSE|>go to shelf 1<|END_RESPONSE|>",
    "<seed:think>go to desk 1</seed:think>go to shelf 1",
    "</think>\n\ngo to shelf 1",
    "<think>\n\n</think>\n\ngo to shelf 1",
    "$\\boxed{\\text{go to shelf 1}}$",
    "Final answer: go to shelf 1",
    "Answer: go to shelf 1",
    "go to shelf 1\n</answer>",
    "<s> go to shelf 1 </s>",
    "<|assistant|>go to shelf 1<|user|>",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("response", WRAPPED)
def test_wrappers_come_off_with_a_note(name: str, response: str) -> None:
    """What chat templates, servers and models leave round an answer; a place in the reasoning (desk 1) is never played."""
    turn = load_style(name).parse(response, TEMPLATES)
    assert turn.action == "go to shelf 1"
    assert turn.note


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("response", "thought"),
    [
        ("Maybe I should\ngo to desk 1\nbut no.\n</think>\n\ngo to shelf 1", "Maybe I should go to desk 1 but no."),
        ("<think>It said <think> before.</think>go to shelf 1", "It said <think> before."),
        ("a</think>b</think>go to shelf 1", "a b"),
        ("<answer>go to shelf 1</answer>", None),
        ("It is near. <answer>go to shelf 1</answer>", "It is near."),
    ],
)
def test_what_stands_in_or_before_a_closing_mark_is_the_thought(name: str, response: str, thought: str | None) -> None:
    turn = load_style(name).parse(response, TEMPLATES)
    assert (turn.action, turn.thought) == ("go to shelf 1", thought)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "response", ["<think>go to desk 1 then", "[THINK]go to desk 1", "<|channel|>analysis<|message|>go to desk 1"]
)
def test_reasoning_alone_is_no_action(name: str, response: str) -> None:
    turn = load_style(name).parse(response, TEMPLATES)
    assert not turn.action
    assert turn.thought
    assert "no action" in str(turn.note)


def test_tags_of_the_environments_own_stay() -> None:
    assert load_style("act").parse("<answer>42</answer>", ("<answer>{number}</answer>",)).action == "<answer>42</answer>"


def test_quotes_inside_an_action_stay() -> None:
    assert load_style("act").parse('say "open sesame"', ('say "{words}"',)) == Turn('say "open sesame"')


def test_stateact_reads_its_own_turn_and_says_what_is_missing() -> None:
    style = load_style("stateact")
    assert style.parse(STATE, TEMPLATES) == Turn("go to shelf 1", "it is not here")
    assert style.parse(json.dumps({"goal": "g", "current inventory": [], "action": "look"}), TEMPLATES).action == "look"
    assert "Goal" in str(style.parse("Thought: a\nAction: look", TEMPLATES).note)


def test_a_recorded_turn_is_shown_again_as_it_was_and_a_repaired_one_as_it_should_have_been() -> None:
    style = load_style("stateact")
    assert style.write(Step(observation="x", action="go to shelf 1", response=STATE)) == STATE
    stray = Step(observation="x", action="look", response="Well:\nlook", thought="Well:", note="…")
    assert load_style("react").write(stray) == "Thought: Well:\nAction: look"
    assert load_style("react").write(Step(observation="x", action="go to shelf 1", response=STATE, thought="a")) == (
        "Thought: a\nAction: go to shelf 1"
    )


def test_stateact_tells_the_state_of_steps_that_were_played_without_it() -> None:
    played = [
        ("You are in a room.", "go to desk 1"),
        ("You arrive at desk 1. You see a mug 1.", "take mug 1 from desk 1"),
        ("You pick up the mug 1.", "go to shelf 1"),
        ("You arrive at shelf 1.", "take pen 1 from shelf 1"),
        ("Nothing happens.", "move mug 1 to shelf 1"),
        ("You move the mug 1 to the shelf 1.", "look"),
    ]
    steps = [Step(observation=seen, action=action) for seen, action in played]
    task = Task(environment="t", id="1", instruction="put a mug on the shelf")
    told = load_style("stateact").write_episode(task, steps)
    assert told[0].splitlines()[:4] == [
        "Goal: put a mug on the shelf",
        "Locations visited: none",
        "Current location: unknown",
        "Current inventory: nothing",
    ]
    assert told[4].splitlines()[1:4] == [
        "Locations visited: desk 1, shelf 1",
        "Current location: shelf 1",
        "Current inventory: mug 1",
    ]
    assert told[5].splitlines()[3] == "Current inventory: nothing"


@pytest.mark.parametrize("name", LABELLED)
def test_examples_and_turns_stand_in_the_style(name: str) -> None:
    style: AgentStyle = load_style(name)
    task, other = (Task(environment="t", id=id, instruction=f"task {id}") for id in "12")
    steps = (Step(observation="a room", action="look", thought="what is here?"),)
    shown = Prompt(style, TEMPLATES, examples=(Trajectory(task=other, steps=steps),)).messages(task, steps, "a desk")
    assert "Thought: what is here?\nAction: look" in str(shown[0].content)
    assert str(shown[2].content).endswith("Thought: what is here?\nAction: look")
