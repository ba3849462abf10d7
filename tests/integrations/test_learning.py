"""An agent that learns: its finished conversations enter the bank, whatever other middleware did to its messages."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware, SummarizationMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from exprag.bank import Bank, Filter
from exprag.errors import ConfigError, RunError
from exprag.evaluation.statistics import Paired, paired_rates
from exprag.integrations.learning import LearningMiddleware
from exprag.integrations.outcomes import Verdict, ask_person, by_rubric, verdict_of
from exprag.integrations.tool import search_experience_tool
from exprag.prompt.block import read_block

KEYS = ("brass", "copper", "iron", "silver", "tin")
CHESTS = {"red": "iron", "green": "tin", "blue": "brass", "white": "copper"}


class Guesser(BaseChatModel):
    """Looks, tries one key, answers. The key is that of a past episode with a chest of the same colour, else a guess."""

    guesses: Any
    task: str = ""

    @property
    def _llm_type(self) -> str:
        return "guesser"

    def bind_tools(self, tools: Any, **kwargs: Any) -> BaseChatModel:
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        memory = "\n".join(str(message.text) for message in messages if isinstance(message, SystemMessage))
        results = [str(message.text) for message in messages if isinstance(message, ToolMessage)]
        colour = self.task.split()[2]
        past = [json.loads(entry.body) for entry in read_block(memory) if entry.outcome == "successful"]
        alike = [episode for episode in past if f"the {colour} chest" in str(episode)]
        turns = [turn["content"] for episode in alike for turn in episode if turn["content"].startswith("try_key(")]
        number = len(results) and 1 + any("key" in result for result in results[-1:])
        if number == 0:
            turn = AIMessage(
                "I look round.", tool_calls=[{"name": "look", "args": {}, "id": "a"}, {"name": "listen", "args": {}, "id": "b"}]
            )
        elif number == 1:
            key = json.loads(turns[0][len("try_key(") : -1])["key"] if turns else self.guesses.choice(KEYS)
            turn = AIMessage("", tool_calls=[{"name": "try_key", "args": {"key": key}, "id": "c"}])
        else:
            turn = AIMessage("That was all.")
        return ChatResult(generations=[ChatGeneration(message=turn)])


class Vault:
    """A chest that one key opens; one try."""

    def __init__(self, colour: str) -> None:
        self.colour, self.won = colour, False

    @property
    def tools(self) -> list[Any]:
        @tool
        def look() -> str:
            """Look round."""
            return "A chest and a board with five hooks."

        @tool
        def listen() -> str:
            """Listen."""
            return "All is quiet."

        @tool
        def try_key(key: str) -> str:
            """Try a key."""
            self.won = key == CHESTS[self.colour]
            return "The key turns." if self.won else "The key sticks."

        return [look, listen, try_key]


def summarizer() -> SummarizationMiddleware:
    """Takes all but the last message out of the conversation whenever there are more than three."""
    return SummarizationMiddleware(FakeListChatModel(responses=["a summary"]), trigger=("messages", 4), keep=("messages", 1))


def play(number: int, bank: Bank | None, seed: int = 0, **options: Any) -> tuple[bool, dict[str, Any]]:
    """(whether the chest was opened, the state at the end) of one episode of the made task."""
    colour = list(CHESTS)[number % len(CHESTS)]
    task = f"Open the {colour} chest of room {number}."
    vault = Vault(colour)
    model = Guesser(guesses=random.Random(1000 * seed + number), task=task)
    others = [summarizer(), ModelCallLimitMiddleware(run_limit=8)]
    ours = [] if bank is None else [LearningMiddleware(bank, outcome=lambda finished: vault.won, k=3, **options)]
    agent = create_agent(model, vault.tools, middleware=[*others, *ours])
    state = agent.invoke({"messages": [{"role": "user", "content": task}]})
    return vault.won, state


@pytest.fixture
def bank(tmp_path) -> Bank:
    return Bank.create(tmp_path / "own")


def test_an_agent_improves_over_30_episodes_by_its_own_successes(bank):
    """The same agent with and without, the same tasks and the same guesses, two middlewares of LangChain before ours."""
    with_memory = [play(number, bank)[0] for number in range(30)]
    without = [play(number, None)[0] for number in range(30)]
    pairs = list(zip(with_memory, without, strict=True))
    table = Paired(pairs.count((True, True)), pairs.count((True, False)), pairs.count((False, True)), pairs.count((False, False)))
    difference = paired_rates(table)
    assert difference.interval is not None
    assert difference.interval.low > 0
    assert sum(with_memory[15:]) > sum(with_memory[:15])  # it improves: what it knows it learnt on the way
    assert {run.success for run in bank} == {True}


def test_the_whole_conversation_is_recorded_though_another_middleware_summarised_it(bank):
    won = False
    number = 0
    while not won:
        won, state = play(number, bank)
        number += 1
    assert len(state["messages"]) < 6  # most of it was taken out
    (run,) = bank
    assert run.task.instruction == f"Open the {run.task.instruction.split()[2]} chest of room {number - 1}."
    assert [step.action.split("(")[0] for step in run.steps] == ["look", "try_key", "That was all."]
    first = run.steps[0]
    assert [call.result for call in first.calls] == ["A chest and a board with five hooks.", "All is quiet."]
    assert (first.message, run.steps[1].observation) == ("I look round.", "A chest and a board with five hooks.\nAll is quiet.")
    assert (run.success, run.score, run.ended) == (True, 1.0, "terminated")
    assert state["recorded"]["added"] == 1
    assert state["recorded"]["id"] == run.id


class Answer(FakeListChatModel):
    def bind_tools(self, tools: Any, **kwargs: Any) -> BaseChatModel:
        return self


def agent_of(bank: Bank, *, checkpointer: Any = None, responses: tuple[str, ...] = ("Paris",), **options: Any) -> Any:
    return create_agent(
        Answer(responses=list(responses)), [], middleware=[LearningMiddleware(bank, **options)], checkpointer=checkpointer
    )


def ask(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def test_the_gate_refuses_failures_and_quarantines_what_is_unknown(bank):
    refused = agent_of(bank, outcome=lambda _: False).invoke(ask("capital of France?"))["recorded"]
    assert (refused["added"], refused["refused"]) == (0, "it did not succeed")
    unknown = agent_of(bank).invoke(ask("capital of Spain?"))["recorded"]
    assert (unknown["added"], unknown["quarantined"], unknown["success"]) == (1, 1, None)
    assert agent_of(bank, outcome=lambda _: 0.5, learn="all").invoke(ask("capital of Italy?"))["recorded"]["added"] == 1
    ruled = agent_of(bank, outcome=lambda _: True, rule=lambda run: len(run.steps) > 9).invoke(ask("capital of Peru?"))[
        "recorded"
    ]
    assert "refused it" in ruled["refused"]
    held = agent_of(bank, outcome=lambda _: True, trust=False).invoke(ask("capital of Chad?"))["recorded"]
    assert held["quarantined"] == 1
    assert len(bank) == 3
    assert len(bank.search("capital", where=Filter(trust=("trusted",)))) == 1
    with pytest.raises(ConfigError, match="learn is"):
        agent_of(bank, learn="some")


def test_an_episode_sees_neither_its_thread_nor_its_own_words(bank):
    agent = agent_of(bank, outcome=lambda _: True, checkpointer=InMemorySaver(), k=5, responses=("Paris", "Lyon"))
    one: Any = {"configurable": {"thread_id": "one"}}
    agent.invoke(ask("What is the capital of France?"), one)
    second = agent.invoke(ask("What is the second city of France?"), one)
    assert list(second["experience"]["recalled"]) == []  # what is near is of the same thread
    other: Any = {"configurable": {"thread_id": "two"}}
    third = agent.invoke(ask("What is the capital of France?"), other)
    recalled = bank.get([item["id"] for item in third["experience"]["recalled"]])
    assert [run.task.instruction for run in recalled] == ["What is the second city of France?"]
    assert third["recorded"]["added"] == 0  # word for word the episode of the first thread
    assert {run.task.metadata["thread"] for run in bank} == {"one"}


def test_a_conversation_that_goes_on_replaces_what_was_recorded_of_it(bank):
    agent = agent_of(bank, outcome=lambda _: True, per="conversation", checkpointer=InMemorySaver(), responses=("One", "Two"))
    thread: Any = {"configurable": {"thread_id": "one"}}
    agent.invoke(ask("Count."), thread)
    agent.invoke(ask("Go on."), thread)
    (run,) = bank
    assert [(step.observation, step.action) for step in run.steps] == [("Count.", "One"), ("Go on.", "Two")]


def test_a_person_is_asked_by_an_interrupt(bank):
    agent = agent_of(bank, outcome=ask_person, checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "one"}}
    waiting = agent.invoke(ask("capital of France?"), thread)
    (question,) = waiting["__interrupt__"]
    assert question.value["answer"] == "Paris"
    assert len(bank) == 0
    agent.invoke(Command(resume="yes"), thread)
    assert [run.success for run in bank] == [True]


async def test_an_asynchronous_agent_learns_from_a_coroutine_and_a_rubric(bank):
    async def judge(finished: Any) -> float:
        return 1.0

    await agent_of(bank, outcome=judge).ainvoke(ask("capital of France?"))
    rubric = by_rubric(FakeListChatModel(responses=["It is not the capital.\nFAIL"]), "The answer is the capital.")
    state = await agent_of(bank, outcome=rubric, learn="all").ainvoke(ask("capital of Spain?"))
    assert (state["recorded"]["success"], state["recorded"]["score"]) == (False, 0.0)
    assert sorted(str(run.success) for run in bank) == ["False", "True"]
    with pytest.raises(ConfigError, match="coroutine"):
        agent_of(bank, outcome=judge).invoke(ask("capital of Peru?"))


def test_a_judge_that_fails_says_so(bank):
    def judge(finished: Any) -> bool:
        raise KeyError("nothing")

    with pytest.raises(RunError, match="outcome of the conversation"):
        agent_of(bank, outcome=judge).invoke(ask("capital of France?"))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (True, (True, 1.0)),
        (0.25, (False, 0.25)),
        (None, (None, None)),
        ("no", (False, 0.0)),
        ("0.5", (False, 0.5)),
        ({"success": True, "score": 0.75}, (True, 0.75)),
        ({"success": None, "score": "0.5"}, (False, 0.5)),
        ({"success": False}, (False, 0.0)),
        (Verdict(None, 0.5), (None, 0.5)),
    ],
)
def test_outcomes_in_all_forms(answer, verdict):
    assert verdict_of(answer) == verdict


NAN = float("nan")


@pytest.mark.parametrize("answer", ["perhaps", 7, [], {"x": 1}, {"success": True, "score": 7}, {"success": True, "score": NAN}])
def test_what_is_no_outcome_is_refused(answer):
    with pytest.raises(ConfigError, match="is not an outcome"):
        verdict_of(answer)


def test_experience_that_a_tool_showed_is_not_recorded_within_experience(bank):
    search = search_experience_tool(bank, k=1)
    agent_of(bank, outcome=lambda _: True).invoke(ask("capital of France?"))
    calls = [AIMessage("", tool_calls=[{"name": search.name, "args": {"query": "capital"}, "id": "1"}]), AIMessage("Paris.")]

    class Asker(Guesser):
        def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
            turn = calls[1 if isinstance(messages[-1], ToolMessage) else 0]
            return ChatResult(generations=[ChatGeneration(message=turn)])

    for keep, blocks in ((False, 0), (True, 1)):
        middleware = LearningMiddleware(bank, outcome=lambda _: True, keep_memory=keep, run=str(keep))
        agent = create_agent(Asker(guesses=None), [search], middleware=[middleware])
        state = agent.invoke({"messages": [HumanMessage(f"Which city? {keep}")]})
        (run,) = bank.get([state["recorded"]["id"]])
        assert len(read_block(run.steps[1].observation)) == blocks


def test_spans_of_the_middleware_carry_no_memory_where_the_policy_says_so(bank):
    assert LearningMiddleware(bank).trace_policy is None
    assert LearningMiddleware(bank, trace_memory=False).trace_policy is not None
