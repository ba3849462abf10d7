"""Each format, in the shapes that are published: who said what becomes observation, thought, action and outcome."""

from __future__ import annotations

import pytest

from exprag.errors import RecordError
from exprag.traces import Place, read_row, recognise
from exprag.traces.turns import split_turn

ASKED = "Here is your task. You are in a room.\nYour task is to: put a mug on the desk."


def test_sharegpt_with_instructions_and_an_acknowledgement():
    row = {
        "id": "run_7",
        "conversations": [
            {"from": "human", "loss": None, "value": "Interact with a house. Reply with THOUGHT and ACTION."},
            {"from": "gpt", "loss": False, "value": "OK. I'll follow your instructions and try my best to solve the task."},
            {"from": "human", "loss": None, "value": ASKED},
            {"from": "gpt", "loss": True, "value": "THOUGHT: I need a mug.\nACTION: go to shelf 1"},
            {"from": "human", "loss": None, "value": "You see a mug 1."},
            {"from": "gpt", "loss": True, "value": "Thought:\nThere it is.\n\nAction:\ntake mug 1"},
        ],
    }
    assert recognise(row) == "sharegpt"
    run = read_row(row, place=Place("f.json", 3, "a", "house"))
    assert [(step.observation, step.thought, step.action) for step in run.steps] == [
        (ASKED, "I need a mug.", "go to shelf 1"),
        ("You see a mug 1.", "There it is.", "take mug 1"),
    ]
    assert (run.task.key, run.task.instruction, run.success) == ("house:run_7", "put a mug on the desk.", None)
    assert run.provenance.extra["preamble"].startswith("Interact with a house.")
    assert {name: run.provenance.extra[name] for name in ("format", "file", "row", "key")} == {
        "format": "sharegpt",
        "file": "f.json",
        "row": 3,
        "key": "a",
    }


@pytest.mark.parametrize("answer", ["OK", "OK.", "Sure.", "Okay, I will follow your instructions and do my best.", "Understood."])
def test_an_acknowledgement_without_loss_is_not_a_step(answer):
    turns = [("user", "Rules."), ("assistant", answer), ("user", ASKED), ("assistant", "Action: look"), ("user", "A mug.")]
    run = read_row({"conversations": [{"role": role, "content": text} for role, text in turns]})
    assert (run.actions, run.final_observation) == (["look"], "A mug.")


def test_a_question_that_begins_with_ok_is_a_step():
    turns = [("human", "Book a table."), ("gpt", "OK, for how many?"), ("human", "Two."), ("gpt", "Booked.")]
    run = read_row([{"from": role, "value": text} for role, text in turns])
    assert (run.actions, run.task.instruction) == (["OK, for how many?", "Booked."], "Book a table.")


def test_an_ok_that_ends_the_conversation_is_a_step():
    assert read_row([{"from": "human", "value": "Say OK."}, {"from": "gpt", "value": "OK"}]).actions == ["OK"]


def test_examples_of_a_prompt_are_not_steps():
    turns = [("human", "Rules.", None), ("gpt", "Fine, go on", False)]
    turns += [("human", "Your task is to: sing.", None), ("gpt", "la", False)]
    turns += [("human", "Your task is to: dance.", None), ("gpt", "Act: jump", True)]
    run = read_row({"conversations": [{"from": role, "value": text, "loss": loss} for role, text, loss in turns]})
    assert (run.actions, run.task.instruction) == (["jump"], "dance.")


def test_openai_messages_with_tools():
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": "tasse à café"}'}}
    broken = {"id": "c2", "type": "function", "function": {"name": "buy", "arguments": '{"id": 3'}}
    row = {
        "messages": [
            {"role": "system", "content": "You are a shop assistant."},
            {"role": "user", "content": [{"type": "text", "text": "Buy a cup."}, {"type": "image_url", "image_url": {"url": "http://a/b"}}]},
            {"role": "assistant", "content": "Let me look.", "reasoning_content": "A search.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "cup 3"},
            {"role": "assistant", "content": None, "tool_calls": [broken, {"name": "look", "args": {}}]},
            {"role": "tool", "tool_call_id": "c2", "content": "bought"},
            {"role": "assistant", "content": "Done."},
        ],
        "reward": 0.5,
        "tag": "x",
    }
    run = read_row(row)
    assert [(step.observation, step.thought, step.message, step.action) for step in run.steps] == [
        ("Buy a cup.\n[image_url: http://a/b]", "A search.", "Let me look.", 'search({"q": "tasse à café"})'),
        ("cup 3", None, None, 'buy({"id": 3)\nlook({})'),
        ("bought", None, None, "Done."),
    ]
    assert (run.success, run.score, run.ended) == (False, 0.5, "terminated")
    assert run.provenance.extra["preamble"] == "You are a shop assistant."
    assert run.provenance.extra["fields"] == {"reward": 0.5, "tag": "x"}
    row["messages"] = row["messages"][:3]
    assert read_row(row).ended == "truncated"


def test_calls_are_written_as_the_integration_writes_them():
    from langchain_core.messages import convert_to_messages

    from exprag.integrations.conversation import trajectory_from_messages

    call = {"id": "c", "type": "function", "function": {"name": "go", "arguments": '{"to":"é", "n": [1, 2.5]}'}}
    messages = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "Well.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "There."},
        {"role": "assistant", "content": "Arrived."},
    ]
    run, same = read_row(messages), trajectory_from_messages(convert_to_messages(messages), environment="imported")
    assert (run.steps, run.task.key, run.ended) == (same.steps, same.task.key, same.ended)


def test_function_call_turns_of_sharegpt():
    call = '{"name": "add", "arguments": {"a": 1}}'
    turns = [("human", "Add."), ("function_call", call), ("observation", "2"), ("gpt", "Two.")]
    run = read_row([{"from": role, "value": text} for role, text in turns])
    assert [(step.observation, step.action) for step in run.steps] == [("Add.", 'add({"a": 1})'), ("2", "Two.")]


def test_a_labelled_react_transcript():
    text = "Question: Who wrote it?\nThought 1: I search.\nAction 1: Search[it]\nObservation 1: A book\nby Ann.\n"
    text += "Thought 2: So.\nAction 2: Finish[Ann]"
    run = read_row({"text": text, "success": True})
    assert [(step.observation, step.thought, step.action) for step in run.steps] == [
        ("Question: Who wrote it?", "I search.", "Search[it]"),
        ("A book\nby Ann.", "So.", "Finish[Ann]"),
    ]
    assert (run.task.instruction, run.success, run.score) == ("Who wrote it?", True, 1.0)


def test_a_prompted_react_transcript():
    text = "A room.\nYour task is to: sing.\n> think: First look.\nOK.\n> look\nA song.\n> think: Now.\n> sing\n"
    run = read_row(text.replace("\n", "\r\n"))
    assert [(step.observation, step.thought, step.action) for step in run.steps] == [
        ("A room.\nYour task is to: sing.", "First look.", "look"),
        ("A song.", "Now.", "sing"),
    ]


@pytest.mark.parametrize(
    ("turn", "thought", "action"),
    [
        ("look", None, "look"),
        ("Thought: a\nb\nAction: c", "a\nb", "c"),
        ("**Think:** a\n\n**Act:** b", "a", "b"),
        ("I wonder.\nAction: c", "I wonder.", "c"),
        ("Thought: only", "only", ""),
        ("<think>a</think>\nb", "a", "b"),
        ("maybe go\n</think>\n\nAction: c", "maybe go", "c"),
        ("Thought: a\nAction: Search\nAction Input: cats", "a", "Search(cats)"),
        ("Thought: a\nFinal Answer: 42", "a", "42"),
        ("Thought: a\nAction: b\nObservation: imagined\nAction: c", "a", "b"),
        ("go to action: room", None, "go to action: room"),
    ],
)
def test_a_turn_is_split_into_thought_and_action(turn, thought, action):
    assert split_turn(turn)[:2] == (thought, action)
    assert (split_turn(turn)[2] is not None) == ("imagined" in turn)


@pytest.mark.parametrize(
    ("fields", "success", "score"),
    [
        ({}, None, None),
        ({"reward": 1}, True, 1.0),
        ({"score": 0.7}, False, 0.7),
        ({"score": None, "won": None}, None, None),
        ({"won": False}, False, 0.0),
        ({"success": True, "score": 0.5}, True, 0.5),
        ({"reward": 87}, None, None),
    ],
)
def test_the_outcome_is_what_the_file_says(fields, success, score):
    run = read_row({"steps": [["look", "A room."]], **fields})
    assert (run.success, run.score) == (success, score)


@pytest.mark.parametrize("fields", [{"success": "yes"}, {"score": "high"}, {"won": 2}, {"reward": [1]}, {"score": float("nan")}])
def test_an_outcome_that_is_none_is_refused(fields):
    if fields.get("score") == fields.get("score"):  # all but NaN, which is on no scale
        with pytest.raises(RecordError, match=next(iter(fields))):
            read_row({"steps": [["look", "A room."]], **fields})
    else:
        assert read_row({"steps": [["look", "A room."]], **fields}).score is None
