"""What is written in a format is read back as it was; a foreign ATIF document comes back but for what the format lists."""

from __future__ import annotations

import copy
import json

import atif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exprag.bank import Bank, Filter
from exprag.traces import Place, format_named, read_row
from exprag.trajectory import EpisodeError, Provenance, Recalled, Step, Task, ToolCall, Trajectory, Usage

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(
    ["", "OK", "Thought: a\nAction: b", "<think>x</think>y", "a\nb", "Your task is to: sing.", "go({})", "\ud800", "think: x"]
)
NAMES = TEXTS.filter(bool)
NUMBERS = st.floats(-1, 1, allow_nan=False)
DATA = st.dictionaries(TEXTS, TEXTS | st.integers(-9, 9) | st.none(), max_size=2)
CALLS = st.builds(ToolCall, id=TEXTS, name=NAMES, arguments=DATA | TEXTS, result=st.none() | TEXTS)
RECALLED = st.builds(Recalled, id=NAMES, score=NUMBERS, reason=TEXTS, step=st.none() | st.integers(0, 9))
USAGE = st.builds(
    Usage, prompt=st.integers(0, 9), completion=st.integers(0, 9), cached=st.none() | st.integers(0, 9), cost=st.none() | NUMBERS
)
STEPS = st.builds(
    Step,
    observation=TEXTS,
    action=TEXTS,
    thought=st.none() | TEXTS,
    message=st.none() | TEXTS,
    reward=NUMBERS,
    valid=st.none() | st.booleans(),
    response=st.none() | TEXTS,
    note=st.none() | TEXTS,
    query=st.none() | TEXTS,
    calls=st.lists(CALLS, max_size=2).map(tuple),
    recalled=st.lists(RECALLED, max_size=2).map(tuple),
    usage=st.none() | USAGE,
)
TRAJECTORIES = st.builds(
    Trajectory,
    id=TEXTS,
    task=st.builds(Task, environment=NAMES, id=NAMES, split=TEXTS, type=TEXTS, instruction=TEXTS, group=TEXTS, metadata=DATA),
    steps=st.lists(STEPS, max_size=4).map(tuple),
    final_observation=TEXTS,
    success=st.none() | st.booleans(),
    score=st.none() | NUMBERS,
    ended=st.sampled_from(["terminated", "truncated", "gave_up", "error"]),
    source=st.sampled_from(["expert", "agent", "human"]),
    fingerprint=TEXTS,
    provenance=st.builds(Provenance, run=TEXTS, model=TEXTS, created=TEXTS, seed=st.none() | st.integers(0, 9), extra=DATA),
    error=st.none() | st.builds(EpisodeError, boundary=NAMES, message=TEXTS),
)
WRITTEN = ("exprag", "atif", "openai")


@pytest.mark.parametrize("name", WRITTEN)
@given(trajectory=TRAJECTORIES)
@settings(max_examples=60, deadline=None)
def test_any_trajectory_comes_back_as_it_went_out(name, trajectory):
    format = format_named(name)
    row = json.loads(json.dumps(format.write(trajectory)))
    assert format.recognise(row)
    assert format.read(row, Place("f", 7, "", "elsewhere")) == trajectory
    if name == "atif":
        atif.Trajectory.model_validate(row)


def episode(**changes):
    calls = (
        ToolCall(id="c1", name="search", arguments={"q": "cup"}, result="cup 3"),
        ToolCall(id="c2", name="look", arguments={}, result="a shop"),
    )
    recalled = (Recalled(id="t1", score=0.75, reason="rank 1"), Recalled(id="t2", score=0.5, reason="rank 2"))
    usage = Usage(prompt=10, completion=2, cached=4, cost=0.01)
    first = Step(observation="Buy a cup.", action='search({"q": "cup"})\nlook({})', thought="A search.", message="Let me look.")
    first = first.model_copy(update={"calls": calls, "recalled": recalled, "usage": usage})
    last = Step(observation="cup 3\na shop\nThe blue one.", action="Bought.", recalled=recalled)
    task = Task(environment="shop", id="1", instruction="Buy a cup.")
    return Trajectory(task=task, steps=(first, last), success=True, score=1.0, **changes)


def test_a_step_carries_text_calls_thought_and_memory_into_atif():
    document = format_named("atif").write(episode())
    checked = atif.Trajectory.model_validate(document)
    assert checked.schema_version == "ATIF-v1.8"
    user, memory, turn, person, answer = checked.steps
    assert (user.source, user.message) == ("user", "Buy a cup.")
    assert (memory.source, [result.extra for result in memory.observation.results]) == (
        "system",
        [{"retrieval_score": 0.75, "source_doc_id": "t1"}, {"retrieval_score": 0.5, "source_doc_id": "t2"}],
    )
    assert (turn.source, turn.message, turn.reasoning_content) == ("agent", "Let me look.", "A search.")
    assert [(call.tool_call_id, call.function_name, call.arguments) for call in turn.tool_calls] == [
        ("c1", "search", {"q": "cup"}),
        ("c2", "look", {}),
    ]
    assert [(result.source_call_id, result.content) for result in turn.observation.results] == [("c1", "cup 3"), ("c2", "a shop")]
    assert (turn.metrics.prompt_tokens, turn.metrics.cached_tokens, turn.metrics.cost_usd) == (10, 4, 0.01)
    assert (person.source, person.message) == ("user", "The blue one.")
    assert (answer.source, answer.message) == ("agent", "Bought.")


def test_an_environment_answers_without_a_call():
    steps = (Step(observation="A room.", action="look"), Step(observation="A mug.", action="take mug"))
    document = format_named("atif").write(Trajectory(task=Task(environment="e", id="1"), steps=steps, final_observation="Taken."))
    assert [step["source"] for step in document["steps"]] == ["user", "agent", "agent"]
    assert document["steps"][1]["observation"] == {"results": [{"content": "A mug."}]}


FOREIGN = {
    "schema_version": "ATIF-v1.7",
    "session_id": "s1",
    "trajectory_id": "t-main",
    "agent": {
        "name": "terminus-2",
        "version": "1.2",
        "model_name": "m1",
        "tool_definitions": [{"type": "function", "function": {"name": "bash", "parameters": {}}}],
        "extra": {"temperature": 0.5},
    },
    "steps": [
        {"step_id": 1, "source": "system", "message": "You are a coder."},
        {"step_id": 2, "timestamp": "2026-01-01T00:00:00Z", "source": "user", "message": "Fix the build."},
        {"step_id": 3, "source": "user", "message": "And quickly."},
        {
            "step_id": 4,
            "timestamp": "2026-01-01T00:00:01Z",
            "source": "agent",
            "model_name": "m2",
            "reasoning_effort": "high",
            "message": "I look first.",
            "reasoning_content": "Where is it?",
            "tool_calls": [
                {"tool_call_id": "a", "function_name": "bash", "arguments": {"cmd": "ls"}, "extra": {"timeout": 3}},
                {"tool_call_id": "b", "function_name": "bash", "arguments": {"cmd": "make"}},
            ],
            "observation": {
                "results": [
                    {
                        "source_call_id": "a",
                        "content": [
                            {"type": "text", "text": "Makefile"},
                            {"type": "image", "source": {"media_type": "image/png", "path": "a.png"}},
                        ],
                    },
                    {"source_call_id": "b", "content": "error 2", "extra": {"exit": 2}},
                ]
            },
            "metrics": {"prompt_tokens": 9, "completion_tokens": 3, "extra": {"reasoning_tokens": 1}},
            "llm_call_count": 1,
        },
        {
            "step_id": 5,
            "source": "agent",
            "message": "",
            "tool_calls": [{"tool_call_id": "c", "function_name": "task", "arguments": {}}],
            "observation": {"results": [{"source_call_id": "c", "subagent_trajectory_ref": [{"trajectory_id": "t-sub"}]}]},
        },
        {"step_id": 6, "source": "agent", "message": "It builds."},
    ],
    "notes": "a note",
    "final_metrics": {"total_prompt_tokens": 9, "total_steps": 6},
    "extra": {"reward": 1.0, "suite": "x"},
    "subagent_trajectories": [
        {
            "schema_version": "ATIF-v1.7",
            "trajectory_id": "t-sub",
            "agent": {"name": "sub", "version": "1"},
            "steps": [
                {"step_id": 1, "source": "user", "message": "Build."},
                {"step_id": 2, "source": "agent", "message": "Built."},
            ],
        }
    ],
}


def test_a_foreign_atif_file_goes_in_is_recalled_and_comes_out_equal(tmp_path):
    atif.Trajectory.model_validate(FOREIGN)
    (tmp_path / "run.json").write_text(json.dumps(FOREIGN, indent=1))
    bank = Bank.create(tmp_path / "bank")
    report = bank.import_file(tmp_path / "run.json", environment="coding")
    assert (report.added, report.quarantined, report.bad) == (2, 2, ())
    main = next(run for run in bank if run.task.id == "t-main")
    assert main.provenance.extra["format"] == "atif"
    assert (main.provenance.extra["file"], main.provenance.run, main.provenance.model) == ("run.json", "run.json", "m1")
    assert (main.success, main.task.instruction, main.task.environment) == (True, "Fix the build.", "coding")
    assert [step.observation for step in main.steps] == [
        "Fix the build.\nAnd quickly.",
        "Makefile\n[image: a.png]\nerror 2",
        "[subagent: t-sub]",
    ]
    assert (main.steps[0].thought, main.steps[0].message) == ("Where is it?", "I look first.")
    bank.trust(Filter(run="run.json"))
    assert main.id in {hit.trajectory.id for hit in bank.search("fix the build", k=5)}
    format = format_named("atif")
    assert format.write(main) == FOREIGN
    assert format.write(next(run for run in bank if run.task.id == "t-sub")) == FOREIGN["subagent_trajectories"][0]


def test_what_is_lost_of_a_foreign_document_is_listed_and_named():
    document = copy.deepcopy(FOREIGN)
    document["steps"][3]["metrics"] |= {"completion_token_ids": [1, 2], "logprobs": [-0.5, -0.25]}
    document["steps"].insert(1, {"step_id": 2, "source": "agent", "message": "copied", "is_copied_context": True})
    for number, step in enumerate(document["steps"], 1):
        step["step_id"] = number
    run = read_row(document)
    assert run.provenance.extra["left_out"] == ["token ids and log probabilities", "1 steps of copied context"]
    assert "copied" not in run.actions
    assert any("token ids" in loss for loss in format_named("atif").losses)
    expected = copy.deepcopy(document)
    for name in ("completion_token_ids", "logprobs"):
        del expected["steps"][4]["metrics"][name]
    assert format_named("atif").write(run) == expected


def test_a_foreign_document_that_was_judged_later_says_so():
    run = read_row({**FOREIGN, "extra": {}})
    assert run.success is None
    judged = run.model_copy(update={"success": True, "score": 1.0})
    again = read_row(json.loads(json.dumps(format_named("atif").write(judged))))
    assert (again.success, again.steps) == (True, run.steps)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps": [{"source": "robot", "message": ""}]}, "step 1: its source"),
        ({"steps": "none"}, "no list 'steps'"),
        ({"steps": [{"source": "agent", "message": "", "tool_calls": [{}]}]}, "without the name"),
        (
            {
                "steps": [
                    {"source": "agent", "message": "x", "observation": {"results": [{"source_call_id": "z", "content": "y"}]}}
                ]
            },
            "step 1: a tool's result without a call",
        ),
        ({"extra": {"exprag": {"~": {"steps": {"#": {"99": {"=": 1}}}}}}}, "does not belong to the rest"),
    ],
)
def test_a_broken_document_is_named_with_its_reason(change, reason):
    from exprag.errors import RecordError

    with pytest.raises(RecordError, match=reason):
        read_row({**FOREIGN, **change})


def test_data_of_an_image_are_kept_as_a_hash_and_said():
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    run = read_row({"messages": [{"role": "user", "content": [part, sound]}, {"role": "assistant", "content": "A cat."}]})
    assert run.steps[0].observation.startswith("[image_url: sha256:")
    assert "[input_audio: sha256:" in run.steps[0].observation
    assert any("image_url" in phrase for phrase in run.provenance.extra["left_out"])


def test_a_long_field_that_is_not_kept_is_named():
    run = read_row({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "logs": ["x"] * 9})
    assert run.provenance.extra["left_out"] == ["the field 'logs'"]
