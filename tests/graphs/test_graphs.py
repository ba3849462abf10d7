"""The graphs to copy from: each plays real episodes offline, alone and from `exprag run --graph`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from command_line import call
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from exprag.bank import Bank
from exprag.contracts.style import load_style
from exprag.errors import ConfigError
from exprag.files import read_jsonl
from exprag.graph import Context
from exprag.graph.load import load_graph
from exprag.graph.starter import EPISODES, Starter
from exprag.models import load_model
from exprag.plugins import create
from exprag.prompt.block import read_block
from exprag.trajectory import Trajectory
from scripted import Scripted

GRAPHS = Path(__file__).resolve().parents[2] / "graphs"
NAMES = sorted(path.stem for path in GRAPHS.glob("*.py"))
EASY = "test/look_at_obj_in_light/0000"  # the baseline wins it in five actions


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("EXPRAG_")]:
            patch.delenv(name)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def load(name: str, **settings: Any) -> Any:
    return load_graph(f"{GRAPHS / name}.py:make", settings=settings)


def episode(graph: Any, **context: Any) -> Trajectory:
    return Trajectory.from_dict(graph.invoke({"task": EASY, "seed": 1}, context=Context(run="r", **context))["trajectory"])


def test_they_are_all_served_and_short() -> None:
    served = json.loads((GRAPHS.parent / "langgraph.json").read_text())["graphs"]
    assert served == {name: f"./graphs/{name}.py:graph" for name in NAMES}
    assert len(NAMES) == 9
    assert [name for name in NAMES if len((GRAPHS / f"{name}.py").read_text().splitlines()) > 80] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_plays_an_episode(name: str) -> None:
    graph = load_graph(f"{GRAPHS / name}.py:graph")
    assert graph.checkpointer is None
    played = episode(graph, max_steps=8)
    assert (played.source, played.provenance.run, played.task.id) == ("agent", "r", EASY)
    if name in ("hierarchical", "dynamic_exprag"):  # these do not lead the baseline to the goal
        assert (played.ended, len(played.steps)) == ("truncated", 8)
    elif name == "hints":  # no case to adapt, but a routine to follow
        assert (played.ended, played.success, len(played.steps)) == ("terminated", True, 6)
    else:
        assert (played.ended, played.success, len(played.steps)) == ("terminated", True, 5)
    assert all(bool(step.recalled) == (name != "hints") for step in played.steps)
    own = {recall.id for step in played.steps for recall in step.recalled}
    assert not own & {t.id for t in Starter().open_bank().trajectories() if t.task.key == played.task.key}


def test_the_starters_bank_is_made_once_of_all_task_types() -> None:
    bank = Starter().open_bank()
    stored = list(bank.trajectories())
    assert len(stored) == EPISODES
    assert len({trajectory.task.type for trajectory in stored}) == 6
    assert Starter().open_bank().uri == bank.uri
    assert set(bank.strategies) == {"task", "trajectory"}


def test_memory_and_k_are_of_the_invocation() -> None:
    graph = load("static_exprag")
    assert {len(step.recalled) for step in episode(graph, memory=False, max_steps=3).steps} == {0}
    assert {len(step.recalled) for step in episode(graph, k=4, max_steps=3).steps} == {4}


def test_hints_stand_in_the_prompt() -> None:
    model = Scripted(turns=["Thought: a\nAction: look"])
    episode(load("hints", model=model), max_steps=1)
    assert "- Do in order: take {object} from {any receptacle}; use " in str(model.prompts[0][0].content)
    assert not read_block(str(model.prompts[0][0].content))


def test_react_and_stateact_keep_the_models_own_turns() -> None:
    turns = ["Thought: where is it?\nAction: go to desk 1", "Thought: near\nAction: look"]
    model = Scripted(turns=turns)
    played = episode(load("react", model=model), max_steps=2)
    assert [step.thought for step in played.steps] == ["where is it?", "near"]
    assert str(model.prompts[1][2].content) == turns[0]
    model = Scripted(turns=["go to desk 1", "look"])
    episode(load("stateact", model=model), max_steps=2)
    assert "Current location: unknown" in str(model.prompts[1][2].content)


def test_the_planner_plans_anew_and_the_worker_goes_on() -> None:
    graph = load("hierarchical")
    given, context = {"task": "test/pick_and_place_simple/0001", "seed": 1}, Context(max_steps=25)
    updates = list(graph.stream(given, context=context, stream_mode="updates"))
    plans = [update["plan"] for update in updates if "plan" in update]
    assert len(plans) == 3
    assert all(plan["plan"] and plan["plan"][0] in plan["hints"][0] for plan in plans)
    steps = Trajectory.from_dict(updates[-1]["finish"]["trajectory"]).steps
    assert len(steps) == 25
    work = [value for space, value in graph.stream(given, context=context, stream_mode="updates", subgraphs=True) if space]
    assert sum("observe" in update for update in work) == 25


def test_a_success_enters_the_bank_and_a_failure_does_not(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    bank.add(Starter().open_bank().trajectories())
    graph = load("online_learning", bank=str(tmp_path / "bank"))
    assert not episode(graph, max_steps=2).success
    assert len(list(Bank.open(tmp_path / "bank").trajectories())) == EPISODES
    won = episode(graph)
    assert won.id in {trajectory.id for trajectory in Bank.open(tmp_path / "bank").trajectories()}
    others = graph.invoke({"task": "test/look_at_obj_in_light/0001", "seed": 1}, context=Context(k=24, max_steps=1))
    assert won.id in {recall["id"] for recall in others["memory"]["recalled"]}


def test_a_person_accepts_edits_and_skips() -> None:
    graph = load("human_in_the_loop")
    graph.checkpointer = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}}

    def asked(given: Any) -> dict[str, Any]:
        state = graph.invoke(given, config, context=Context(max_steps=3))
        return dict(state["__interrupt__"][0].value) if "__interrupt__" in state else state

    first = asked({"task": EASY, "seed": 1})
    assert set(first) == {"observation", "action", "thought"}
    second = asked(Command(resume={"type": "accept"}))
    assert second["observation"] != first["observation"]
    assert "not an answer" in asked(Command(resume=7))["problem"]
    asked(Command(resume={"type": "edit", "action": "inventory"}))
    again = asked(Command(resume="skip"))
    assert "does not want" in graph.get_state(config).values["hints"][0]
    ended = asked(Command(resume={"type": "accept"}))
    actions = [step["action"] for step in ended["trajectory"]["steps"]]
    assert actions == [first["action"], "inventory", again["action"]]


def test_create_agent_has_the_banks_experience_and_plays_one_call_at_a_time() -> None:
    graph = load("create_agent")
    state = graph.invoke({"task": EASY, "seed": 1})
    assert len(state["experience"]["recalled"]) == 2
    assert [m.tool_calls[0]["args"]["action"] for m in state["messages"] if m.type == "ai"] == [
        step["action"] for step in state["trajectory"]["steps"]
    ]


def test_a_chat_names_the_task_in_its_message() -> None:
    graph = load("create_agent")
    assert "messages" in graph.get_input_jsonschema()["properties"]  # what Studio's chat mode asks for
    state = graph.invoke({"messages": [{"role": "user", "content": f" {EASY}\n"}], "seed": 1})
    assert state["trajectory"]["task"]["id"] == EASY
    assert state["messages"][0].text.strip() == EASY
    assert len(state["trajectory"]["steps"]) == sum(message.type == "ai" for message in state["messages"])


def test_the_baseline_calls_the_tool_that_takes_an_action_and_nothing_else() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    with pytest.raises(ConfigError, match="one text argument"):
        load_model("case-based").bind_tools([add])
    with pytest.raises(NotImplementedError):
        load_model("case-based").with_structured_output(load_style("act").schema)


def test_the_starter_takes_what_the_environment_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank", strategies=("task",))
    monkeypatch.setenv("EXPRAG_ENV", "toy:Toy")
    monkeypatch.setenv("EXPRAG_ENV_OPTIONS", '{"size": 4}')
    monkeypatch.setenv("EXPRAG_BANK", str(tmp_path / "bank"))
    world = Starter()
    assert len(list(world.make_environment().tasks("test"))) == 4
    assert world.open_bank().uri == bank.uri
    monkeypatch.setenv("EXPRAG_ENV_OPTIONS", "[]")
    with pytest.raises(ConfigError, match="JSON object"):
        Starter()


@pytest.mark.parametrize("name", ["react", "human_in_the_loop", "create_agent"])
def test_they_run_from_the_command_line(name: str, tmp_path: Path) -> None:
    arguments = ["run", "-e", "alfworld-generated", "--graph", f"{GRAPHS / name}.py:graph", "--task", EASY]
    done = call(*arguments, "--max-steps", "3", "--workers", "0", "-o", tmp_path / "run")
    assert done.exit_code == 0, done.output
    played = list(read_jsonl(tmp_path / "run" / "episodes.jsonl"))
    assert [(len(t.steps), t.ended, t.provenance.run) for t in played] == [(3, "truncated", "run")]
    assert create("environment", "alfworld-generated").fingerprint() == played[0].fingerprint
