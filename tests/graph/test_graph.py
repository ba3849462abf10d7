from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from exprag.bank import Bank
from exprag.contracts.formatter import Formatter
from exprag.contracts.style import load_style
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, EnvError
from exprag.graph import Act, Context, Retrieve, State, build_agent
from exprag.plugins import create
from exprag.prompt import Prompt
from exprag.prompt.block import read_block
from exprag.retrieval import Retriever
from exprag.trajectory import Trajectory
from scripted import Scripted
from toy import Toy

WIN = ["go to {lies}", "take {thing}", "go to {place}", "drop {thing}"]


def winning_turns(task_id: str, seed: int | None = None) -> list[str]:
    toy = Toy()
    return play_expert(toy, toy.task(task_id), seed=seed).actions


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    toy = Toy()
    made = Bank.create(str(tmp_path_factory.mktemp("bank") / "toy"), strategies=("task", "trajectory"))
    made.add([play_expert(toy, task, seed=1) for split in toy.splits for task in toy.tasks(split)])
    return made


def finished(state: dict[str, Any]) -> Trajectory:
    return Trajectory.from_dict(state["trajectory"])


def test_an_episode_ends_as_a_trajectory() -> None:
    turns = winning_turns("test/0", 7)
    agent = build_agent(Toy, Scripted(turns=turns))
    episode = finished(agent.invoke({"task": "test/0", "seed": 7}, context=Context(run="r1")))
    assert (episode.success, episode.score, episode.ended, episode.source) == (True, 1.0, "terminated", "agent")
    assert episode.actions == turns
    assert episode.task.instruction == "put the mug in the shelf"
    assert episode.steps[0].usage is not None
    assert episode.steps[0].usage.prompt == 10
    assert (episode.provenance.run, episode.provenance.seed) == ("r1", 7)
    assert episode.fingerprint == Toy().fingerprint()


def test_static_memory_is_asked_once_and_dynamic_at_every_step(bank: Bank) -> None:
    for refresh, strategy, refreshed in (("once", "task", False), ("every_step", "trajectory", True)):
        model = Scripted(turns=["look", "go to desk", "look"])
        agent = build_agent(Toy, model, bank=bank, strategy=strategy, refresh=refresh, max_steps=3)
        updates = [u for u in agent.stream({"task": "test/0"}, stream_mode="updates") if "retrieve" in u]
        asked = [u["retrieve"]["memory"]["query"] for u in updates if u["retrieve"]]
        assert len(asked) == (3 if refreshed else 1)
        assert len(set(asked)) == len(asked)
        for prompt in model.prompts:
            assert len(read_block(str(prompt[0].content))) == 2


def test_no_agent_meets_its_own_answer(bank: Bank) -> None:
    for strategy in ("task", "trajectory"):
        agent = build_agent(Toy, Scripted(turns=["look"]), bank=bank, strategy=strategy, k=20, max_steps=2)
        for task in Toy().tasks("test"):
            episode = finished(agent.invoke({"task": task.id}))
            recalled = {recall.id for step in episode.steps for recall in step.recalled}
            own = {t.id for t in bank.trajectories() if t.task.key == task.key}
            assert own
            assert recalled
            assert not own & recalled


def test_the_step_records_what_was_in_context(bank: Bank) -> None:
    episode = finished(build_agent(Toy, Scripted(turns=["look"]), bank=bank, max_steps=2).invoke({"task": "test/0"}))
    assert all(len(step.recalled) == 2 for step in episode.steps)
    assert all(recall.score > 0 and recall.reason for recall in episode.steps[0].recalled)
    assert episode.provenance.bank_version == bank.version


def test_the_step_limit_is_the_graphs_own() -> None:
    agent = build_agent(Toy, Scripted(turns=["look"]))
    assert len(finished(agent.invoke({"task": "test/0"})).steps) == 12
    assert len(finished(agent.invoke({"task": "test/0"}, context=Context(max_steps=4))).steps) == 4
    assert finished(agent.invoke({"task": "test/0"})).ended == "truncated"


@pytest.mark.parametrize(
    ("turns", "noted"),
    [
        (["I think it is best to look.\nlook"], "left out"),
        (["look\ngo to desk"], "2 actions"),
        (["", "look", "", "look"], "empty"),
    ],
)
def test_a_models_stray_turn_is_repaired_and_noted(turns: list[str], noted: str) -> None:
    episode = finished(build_agent(Toy, Scripted(turns=turns), max_steps=4).invoke({"task": "test/0"}))
    assert episode.ended == "truncated"
    assert noted in str(episode.steps[0].note)


def test_prose_and_impossible_actions_are_recorded_as_not_understood() -> None:
    turns = ["Let us ponder the nature of mugs.", "take moon"]
    episode = finished(build_agent(Toy, Scripted(turns=turns), max_steps=2).invoke({"task": "test/0"}))
    assert [step.valid for step in episode.steps] == [False, False]


@pytest.mark.parametrize(
    ("turns", "boundary", "message"),
    [
        ([""], "model", "no action in 3 turns running"),
        (["look", RuntimeError("connection refused")], "model", "RuntimeError: connection refused"),
    ],
)
def test_a_model_that_fails_ends_the_episode_as_data(turns: list[Any], boundary: str, message: str) -> None:
    episode = finished(build_agent(Toy, Scripted(turns=turns)).invoke({"task": "test/0"}))
    assert episode.ended == "error"
    assert episode.error is not None
    assert episode.error.boundary == boundary
    assert message in episode.error.message


def test_an_environment_that_dies_ends_the_episode_as_data() -> None:
    agent = build_agent(lambda: Toy(die_at=2), Scripted(turns=["look"]))
    episode = finished(agent.invoke({"task": "test/0"}))
    assert (episode.ended, len(episode.steps)) == ("error", 2)
    assert episode.error is not None
    assert episode.error.boundary == "environment"


class Buggy(Toy):
    def step(self, action: str) -> Any:
        return {}["nothing"]


class Silent(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        return None  # type: ignore[return-value]


def test_a_plugin_with_a_bug_ends_the_episode_as_data(bank: Bank) -> None:
    episode = finished(build_agent(Buggy, Scripted(turns=["look"])).invoke({"task": "test/0"}))
    assert episode.error is not None
    assert (episode.error.boundary, "KeyError" in episode.error.message) == ("environment", True)
    collected = play_expert(Buggy(), Buggy().task("test/0"))
    assert collected.error is not None
    assert "broke in step" in collected.error.message
    episode = finished(build_agent(Toy, Scripted(turns=["look"]), bank=bank, formatter=Silent()).invoke({"task": "test/0"}))
    assert episode.error is not None
    assert (episode.error.boundary, "Silent" in episode.error.message) == ("retrieval", True)


def test_bad_input_raises_before_anything_starts() -> None:
    agent = build_agent(Toy, Scripted(turns=["look"]))
    with pytest.raises(EnvError, match="no task 'test/99'"):
        agent.invoke({"task": "test/99"})
    with pytest.raises(ConfigError, match="no task"):
        agent.invoke({"seed": 1})


def test_async_streaming_and_concurrent_episodes() -> None:
    agent = build_agent(Toy, "case-based", max_steps=5)

    async def play() -> list[dict[str, Any]]:
        ids = [task.id for task in Toy().tasks("test")]
        seen = [event async for event in agent.astream({"task": ids[0]}, stream_mode="updates")]
        assert [next(iter(event)) for event in seen][:4] == ["begin", "observe", "act", "observe"]
        return await asyncio.gather(*(agent.ainvoke({"task": task}) for task in ids))

    states = asyncio.run(play())
    assert len({finished(state).task.id for state in states}) == 8


def test_a_thread_resumes_and_forks_by_replay(tmp_path: Path) -> None:
    turns = winning_turns("test/0")
    config: Any = {"configurable": {"thread_id": "t"}}
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.sqlite")) as saver:
        first = build_agent(Toy, Scripted(turns=turns))
        first.checkpointer = saver
        for count, _ in enumerate(first.stream({"task": "test/0"}, config, stream_mode="updates")):
            if count == 5:
                break  # the process dies after the second action was chosen
        # A new process: new environments, a model that goes on from where the first stopped.
        left = len(first.get_state(config).values["steps"])
        assert 0 < left < 4
        pending = 1 if first.get_state(config).values["action"] else 0
        second = build_agent(Toy, Scripted(turns=turns[left + pending :]))
        second.checkpointer = saver
        assert finished(second.invoke(None, config)).actions == turns
        # A person goes back to a step, changes the action, and continues on a fork.
        past = [s for s in second.get_state_history(config) if s.next == ("observe",) and s.values.get("action")]
        fork = second.update_state(past[0].config, {"action": {**past[0].values["action"], "action": "look"}})
        ending = finished(second.invoke(None, fork))
        assert ending.actions[:4] == [*turns[:3], "look"]
        assert not ending.steps[3].reward


def test_the_same_thread_can_start_another_episode() -> None:
    agent = build_agent(Toy, Scripted(turns=["look"]), max_steps=3)
    agent.checkpointer = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}}
    agent.invoke({"task": "test/0"}, config)
    again = finished(agent.invoke({"task": "test/1"}, config))
    assert (again.task.id, len(again.steps)) == ("test/1", 3)


def test_nodes_work_in_somebody_elses_graph(bank: Bank) -> None:
    model = Scripted(turns=["look"])
    graph = StateGraph(State)
    graph.add_node("remember", Retrieve(Retriever(bank, k=1), create("formatter", "chat_json")))
    graph.add_node("decide", Act(model, Prompt(load_style("act"), Toy.action_templates)))
    graph.add_edge(START, "remember")
    graph.add_edge("remember", "decide")
    graph.add_edge("decide", END)
    task = Toy().task("test/2")
    state = graph.compile().invoke({"task": task.to_dict(), "observation": "a room"})
    assert state["action"]["action"] == "look"
    assert len(state["memory"]["recalled"]) == 1
    assert task.instruction in str(model.prompts[0][0].content)


def test_the_prompt_and_the_memory_are_fields_that_studio_edits_at_their_nodes(bank: Bank) -> None:
    graph = build_agent(Toy, Scripted(turns=["look"]), bank=bank)
    fields = graph.get_context_jsonschema()["properties"]
    assert (fields["instruction"]["langgraph_nodes"], fields["instruction"]["langgraph_type"]) == (["act"], "prompt")
    assert fields["memory"]["langgraph_nodes"] == fields["k"]["langgraph_nodes"] == ["retrieve"]
    nodes = set(graph.get_graph().nodes)
    assert all(set(field["langgraph_nodes"]) <= nodes for field in fields.values())


def test_an_instruction_stands_in_the_prompt_and_in_the_trajectory(bank: Bank) -> None:
    model = Scripted(turns=["look"])
    state = build_agent(Toy, model, max_steps=1).invoke({"task": "test/0"}, context=Context(instruction="Be quick."))
    assert str(model.prompts[0][0].text).endswith("\n\nBe quick.")
    assert Trajectory.from_dict(state["trajectory"]).provenance.extra["instruction"] == "Be quick."
