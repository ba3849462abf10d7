"""Bad input inside a graph: the error names boundary and cure, and the thread stays readable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

from exprag.contracts.style import AgentStyle, Turn, load_style
from exprag.environments.sessions import Sessions
from exprag.errors import ConfigError, EnvError, ExpragError, PluginError, RecordError
from exprag.graph import Act, Context, Observe, Retrieve, State, build_agent, guarded, make_nodes
from exprag.graph.asking import ask
from exprag.trajectory import Step
from scripted import Scripted
from toy import Toy

CONFIG: Any = {"configurable": {"thread_id": "t"}}


def broken(agent: Any, given: Any = None, config: Any = CONFIG) -> dict[str, str]:
    """The error as data; and the thread can be read."""
    agent.checkpointer = agent.checkpointer or InMemorySaver()
    state = agent.invoke(given or {"task": "test/0"}, config)
    assert agent.get_state(config).values["trajectory"]["error"] == state["error"]
    return dict(state["error"])


class Raises(AgentStyle):
    name = "raises"

    def write(self, step: Step) -> str:
        return {}[step.action]  # type: ignore[return-value]

    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        if response == "look":
            return Turn(response)
        raise ValueError("what is this?")


class Wrong(Raises):
    name = "wrong"

    def parse(self, response: str, templates: Sequence[str]) -> Any:
        return response


@pytest.mark.parametrize(
    ("style", "turn", "message"),
    [
        (Raises(), "Look.", "could not read a turn: ValueError: what is this?"),
        (Raises(), "look", "The style 'raises' could not write the prompt: KeyError"),
        (Wrong(), "look", "read a turn as str"),
    ],
)
def test_a_style_that_breaks_its_contract_is_named(style: AgentStyle, turn: str, message: str) -> None:
    error = broken(build_agent(Toy, Scripted(turns=[turn]), style=style))
    assert (error["boundary"], message in error["message"]) == ("plugin", True)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (lambda state: {}["nothing"], "raised KeyError: 'nothing'"),
        (lambda state: "look", "gave a str. It must give a dict"),
    ],
)
def test_a_node_with_a_fault_ends_the_episode_as_data(node: Any, message: str) -> None:
    nodes = make_nodes(Toy, Scripted(turns=["look"]))
    graph = StateGraph(State, context_schema=Context)
    graph.add_node("begin", nodes.begin)
    graph.add_node("mine", guarded(node))
    graph.add_node("finish", nodes.finish)
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "mine")
    graph.add_edge("mine", "finish")
    graph.add_edge("finish", END)
    error = broken(graph.compile())
    assert (error["boundary"], message in error["message"]) == ("graph", True)


def test_an_unguarded_node_raises_and_the_thread_stays_readable() -> None:
    def mine(state: State) -> dict[str, Any]:
        raise ValueError("mine")

    graph = StateGraph(State)
    graph.add_node("mine", mine)
    graph.add_edge(START, "mine")
    agent = graph.compile(checkpointer=InMemorySaver())
    with pytest.raises(ValueError, match="mine"):
        agent.invoke({"task": "test/0"}, CONFIG)
    assert agent.get_state(CONFIG).next == ("mine",)
    assert "mine" in str(agent.get_state(CONFIG).tasks[0].error)


def test_an_environment_that_is_gone_says_so_and_the_thread_goes_on_when_it_is_back() -> None:
    there = True

    def make() -> Toy:
        toy = Toy()
        if not there:
            toy.reset = _gone  # type: ignore[method-assign]
        return toy

    saver, config = InMemorySaver(), CONFIG
    first = build_agent(make, Scripted(turns=["look"]), max_steps=4)
    first.checkpointer = saver
    for state in first.stream({"task": "test/0"}, config, stream_mode="values"):
        if len(state.get("steps", ())) == 2:
            break
    there = False  # another machine
    second = build_agent(make, Scripted(turns=["look"]), max_steps=4)
    second.checkpointer = saver
    state = second.invoke(None, config)
    assert (state["error"]["boundary"], "install the games" in state["error"]["message"]) == ("environment", True)
    assert len(second.get_state(config).values["steps"]) == 2
    there = True
    third = build_agent(make, Scripted(turns=["look"]), max_steps=4)
    third.checkpointer = saver
    good = next(past for past in third.get_state_history(config) if not past.values.get("ended"))
    assert len(third.invoke(None, good.config)["trajectory"]["steps"]) == 4


def _gone(**_: Any) -> Any:
    raise EnvError("The games are not on this machine.", cure="install the games")


def test_a_checkpoint_of_another_version_is_told() -> None:
    agent = build_agent(Toy, Scripted(turns=["look"]), max_steps=4)
    agent.checkpointer = InMemorySaver()
    old = {"task": Toy().task("test/0").to_dict(), "episode": "e", "observation": "x", "action": {"action": "look"}}
    fork = agent.update_state(
        CONFIG, {**old, "steps": [{"observation": "x", "action": "look", "mood": "glad"}]}, as_node="observe"
    )
    with pytest.raises(RecordError, match=r"steps of this thread do not validate.*mood.*fork from an earlier step"):
        agent.invoke(None, fork)  # nothing can be made of it, the end of the episode neither
    assert agent.get_state(CONFIG).values["steps"][0]["mood"] == "glad"
    other: Any = {"configurable": {"thread_id": "other"}}
    fork = agent.update_state(other, {"action": "look", "steps": []}, as_node="act")
    with pytest.raises(RecordError, match=r"no task, episode.*new thread"):
        agent.invoke(None, fork)
    assert agent.get_state(other).values["action"] == "look"


def test_each_node_says_what_it_lacks() -> None:
    nodes = make_nodes(Toy, Scripted(turns=["look"]))
    for node in (Observe(Sessions(Toy)), nodes.act, nodes.finish):
        with pytest.raises(RecordError, match="task"):
            node({})


class Structured(Scripted):
    """Offers structured output: `turns` are the answers, or text where it fails to keep to the schema."""

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Any:
        def answer(messages: Any) -> dict[str, Any]:
            said = self.turns[min(len(self.prompts), len(self.turns) - 1)]
            self.prompts.append(list(messages))
            if isinstance(said, str):
                return {"raw": AIMessage(said), "parsed": None, "parsing_error": ValueError("not JSON")}
            return {"raw": AIMessage(""), "parsed": schema(**said), "parsing_error": None}

        return RunnableLambda(answer)


def test_structured_output_is_asked_for_and_written_in_the_style() -> None:
    model = Structured(turns=[{"thought": "it is\nhere", "action": "look"}, "Thought: so\nAction: go to desk"])
    agent = build_agent(Toy, model, style="react", style_options={"structured": True}, max_steps=2)
    first, second = agent.invoke({"task": "test/0"})["trajectory"]["steps"]
    assert (first["action"], first["thought"], first["note"]) == ("look", "it is here", None)
    assert str(model.prompts[1][2].content) == "Thought: it is here\nAction: look"
    assert (second["action"], second["note"]) == ("go to desk", "no structured answer: its text was read")


def test_structured_output_that_nobody_offers_is_refused() -> None:
    with pytest.raises(ConfigError, match="no structured output"):
        ask(Scripted(turns=["look"]), load_style("react", structured=True), [], ())
    bare = Raises()
    bare.structured = True
    with pytest.raises(ConfigError, match="no schema"):
        ask(Scripted(turns=["look"]), bare, [], ())
    with pytest.raises(PluginError):
        ask(Scripted(turns=["?"]), Raises(), [], ())


def test_an_error_keeps_its_cure_in_a_checkpoint() -> None:
    assert repr(ExpragError("No.", cure="Do this.")) == "ExpragError('No. Do this.')"


def test_nodes_are_callable_outside_any_graph() -> None:
    nodes = make_nodes(Toy, Scripted(turns=["look"]))
    state: Any = nodes.begin({"task": "test/0"}) | {"steps": []}
    state |= nodes.observe(state)
    state |= nodes.act(state)
    state |= nodes.observe(state)
    assert state["steps"][0]["action"] == "look"
    assert isinstance(nodes.act, Act)
    assert nodes.retrieve is None
    assert Retrieve(lambda: None, None).due({})  # type: ignore[arg-type]  # not made yet
    assert nodes.finish(state | {"ended": "truncated"})["trajectory"]["ended"] == "truncated"
