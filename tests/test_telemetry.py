from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import StatusCode

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.graph import build_agent, spans
from exprag.telemetry import CAPTURE
from exprag.trajectory import Trajectory
from scripted import Scripted
from toy import Toy


@pytest.fixture(scope="module")
def sdk() -> Iterator[InMemorySpanExporter]:
    """An SDK as a user would configure it; a process has one provider."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def exporter(sdk: InMemorySpanExporter) -> InMemorySpanExporter:
    sdk.clear()
    return sdk


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    toy = Toy()
    made = Bank.create(str(tmp_path_factory.mktemp("bank") / "toy"), strategies=("task", "trajectory"))
    made.add([play_expert(toy, task, seed=1) for task in toy.tasks("train")])
    return made


MEMORY = {f"gen_ai.memory.{name}" for name in ("store.id", "record.id", "record.count", "query.text", "records")}
"""Names of the GenAI conventions' memory operations, which the package of Python does not have yet."""


class Seen:
    """The finished spans as a tree."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self.spans = exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return sorted((s for s in self.spans if s.name == name), key=lambda s: s.start_time or 0)

    def inside(self, parent: ReadableSpan) -> list[ReadableSpan]:
        children = [s for s in self.spans if s.parent and parent.context and s.parent.span_id == parent.context.span_id]
        return sorted(children, key=lambda s: s.start_time or 0)

    @property
    def episode(self) -> ReadableSpan:
        (episode,) = self.named("invoke_agent exprag")
        return episode


def about(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_steps_are_inside_the_episode_and_calls_inside_the_step(exporter: InMemorySpanExporter, bank: Bank) -> None:
    agent = build_agent(Toy, Scripted(turns=["look", "go to desk", "I think: look\nlook"]), bank=bank, strategy="trajectory")
    agent.invoke({"task": "test/0", "seed": 3}, context={"max_steps": 3, "run": "r1"})  # type: ignore[arg-type]
    seen = Seen(exporter)
    steps = seen.inside(seen.episode)
    assert [about(step)["exprag.step"] for step in steps] == [0, 1, 2]
    for step in steps:
        assert [child.name for child in seen.inside(step)] == ["search_memory", "chat Scripted"]
    assert len(seen.spans) == 1 + 3 * 3
    told = about(seen.episode)
    names = ("exprag.environment", "exprag.task.id", "exprag.seed", "exprag.run")
    assert [told[name] for name in names] == ["toy", "test/0", 3, "r1"]
    assert (told["exprag.ended"], told["exprag.success"], told["exprag.steps"]) == ("truncated", False, 3)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (30, 6)
    asked, called = seen.inside(steps[0])
    assert about(asked)["exprag.bank.version"] == bank.version
    assert len(about(asked)["exprag.recalled.ids"]) == len(about(asked)["exprag.recalled.reasons"]) == 2
    assert about(called)["gen_ai.usage.input_tokens"] == 10
    assert "left out" in about(steps[2])["exprag.note"]


def test_attributes_have_the_names_of_the_conventions(exporter: InMemorySpanExporter, bank: Bank) -> None:
    class Named(Scripted):
        model_name: str = "tiny-1"
        temperature: float = 0.5

    build_agent(Toy, Named(turns=["look"]), bank=bank, max_steps=1).invoke({"task": "test/0"})
    seen = Seen(exporter)
    (called,) = seen.named("chat tiny-1")
    assert about(called)["gen_ai.request.model"] == "tiny-1"
    assert about(called)["gen_ai.request.temperature"] == 0.5
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")} | MEMORY
    operations = {operation.value for operation in gen_ai_attributes.GenAiOperationNameValues} | {"search_memory"}
    for span in seen.spans:
        for name, value in about(span).items():
            assert name.startswith("exprag.") or name in known
            assert name != "gen_ai.operation.name" or value in operations


def test_an_episode_is_part_of_what_the_caller_traces(exporter: InMemorySpanExporter) -> None:
    agent = build_agent(Toy, Scripted(turns=["look"]), max_steps=2)

    async def play() -> None:
        with trace.get_tracer("mine").start_as_current_span("experiment"):
            await asyncio.gather(*(agent.ainvoke({"task": f"test/{number}"}) for number in range(3)))

    asyncio.run(play())
    seen = Seen(exporter)
    (experiment,) = seen.named("experiment")
    episodes = seen.inside(experiment)
    assert {about(episode)["exprag.task.id"] for episode in episodes} == {"test/0", "test/1", "test/2"}
    assert [len(seen.inside(episode)) for episode in episodes] == [2, 2, 2]
    assert not spans._spans._live


def test_what_breaks_marks_call_step_and_episode(exporter: InMemorySpanExporter) -> None:
    build_agent(Toy, Scripted(turns=["look", RuntimeError("refused")])).invoke({"task": "test/0"})
    seen = Seen(exporter)
    called = seen.named("chat Scripted")[-1]
    last = seen.inside(seen.episode)[-1]
    assert [s.status.status_code for s in (called, last, seen.episode)] == [StatusCode.ERROR] * 3
    assert about(called)["error.type"] == "RuntimeError"
    assert about(seen.episode)["error.type"] == "model"
    assert "refused" in str(seen.episode.status.description)
    assert seen.inside(seen.episode)[0].status.status_code is StatusCode.UNSET


def test_an_episode_that_waits_for_a_person_is_one_span(exporter: InMemorySpanExporter) -> None:
    agent = build_agent(Toy, Scripted(turns=["look"]), max_steps=2)
    agent.checkpointer = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}}
    agent.invoke({"task": "test/0"}, config, interrupt_before=["act"])
    assert not exporter.get_finished_spans()
    agent.invoke(None, config)
    seen = Seen(exporter)
    assert len(seen.inside(seen.episode)) == 2
    assert "exprag.resumed" not in about(seen.episode)


def test_a_thread_that_goes_on_elsewhere_gets_a_span_that_says_so(exporter: InMemorySpanExporter) -> None:
    agent = build_agent(Toy, Scripted(turns=["look"]), max_steps=3)
    agent.checkpointer = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}}
    agent.invoke({"task": "test/0"}, config, interrupt_after=["act"])
    spans._spans._live.clear()  # as in another process
    agent.invoke(None, config)
    seen = Seen(exporter)
    assert about(seen.episode)["exprag.resumed"] is True
    episode = agent.get_state(config).values["episode"]
    assert about(seen.episode)["gen_ai.conversation.id"] == episode
    past = [s for s in agent.get_state_history(config) if s.next == ("observe",) and s.values.get("action")]
    exporter.clear()
    agent.invoke(None, past[-1].config)  # a fork from the first action
    forked = Seen(exporter)
    assert about(forked.episode)["exprag.resumed"] is True
    assert [about(step)["exprag.step"] for step in forked.inside(forked.episode)] == [0, 1, 2]


def test_texts_stay_out_unless_the_conventions_switch_lets_them_in(
    exporter: InMemorySpanExporter, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = build_agent(Toy, Scripted(turns=["go to desk"]), bank=bank, max_steps=1)
    agent.invoke({"task": "test/0"})
    instruction = Toy().task("test/0").instruction
    told = " ".join(span.to_json() for span in exporter.get_finished_spans())
    assert "go to desk" not in told
    assert instruction not in told
    monkeypatch.setenv(CAPTURE, "true")
    exporter.clear()
    agent.invoke({"task": "test/0"})
    told = " ".join(span.to_json() for span in exporter.get_finished_spans())
    assert "go to desk" in told
    assert instruction in told


def test_a_bug_in_a_node_marks_the_episode(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any) -> str:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("exprag.graph.nodes.new_query", bug)  # the node's own code, not the environment that it calls
    state = build_agent(Toy, Scripted(turns=["look"])).invoke({"task": "test/0"})
    assert state["trajectory"]["ended"] == "error"
    seen = Seen(exporter)
    assert about(seen.episode)["error.type"] == "ZeroDivisionError"
    assert [s.status.status_code for s in seen.inside(seen.episode)] == [StatusCode.ERROR]
    assert not spans._spans._live


def test_unfinished_episodes_are_forgotten_in_time(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "CAPACITY", 2)
    agent = build_agent(Toy, Scripted(turns=["look"]))
    for number in range(4):
        agent.invoke({"task": f"test/{number}"}, interrupt_before=["act"])
    assert len(spans._spans._live) == 2
    assert [about(s)["exprag.task.id"] for s in Seen(exporter).named("invoke_agent exprag")] == ["test/0", "test/1"]
    spans._spans.close_all()
    assert len(Seen(exporter).named("invoke_agent exprag")) == 4


def test_without_an_sdk_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "tracer", trace.NoOpTracer)
    kept = []
    agent = build_agent(Toy, Scripted(turns=["look"]), max_steps=2)
    for _ in agent.stream({"task": "test/0"}):
        kept.append(len(spans._spans._live))
    assert set(kept) == {0}


def test_the_stream_tells_what_was_recalled_and_why(bank: Bank) -> None:
    model = Scripted(turns=["look", "Well.\nlook"])
    agent = build_agent(Toy, model, bank=bank, strategy="trajectory", memory_budget=120, max_steps=2)
    told = list(agent.stream({"task": "test/0"}, stream_mode="custom"))
    json.dumps(told)
    assert [(event["event"], event["step"]) for event in told] == [
        ("recalled", 0),
        ("acted", 0),
        ("recalled", 1),
        ("acted", 1),
    ]
    first = told[0]
    episode = Trajectory.from_dict(agent.invoke({"task": "test/0"})["trajectory"])
    assert first["ids"] == [recall.id for recall in episode.steps[0].recalled]
    assert len(first["ids"]) + len(first["dropped"]) == 2
    assert len(first["scores"]) == len(first["reasons"]) == len(first["ids"])
    assert all(first["reasons"])
    assert first["bank_version"] == bank.version
    assert told[1]["note"] is None
    assert "left out" in told[3]["note"]


RUN = """
import sys
from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.runs import RunConfig, run
from toy import Toy

folder, workers = sys.argv[1], int(sys.argv[2])
Bank.create(folder + "/bank").add([play_expert(Toy(), task) for task in Toy().tasks("train")])
config = RunConfig.make(environment="toy:Toy", bank=folder + "/bank", limit=2, workers=workers)
print(run(config, folder + "/run").successes, "won")
"""

# Read by Python at its start: every look-up and connection to another machine is written down, and refused.
NO_NETWORK = """
import os, socket

def refuse(*args, **kwargs):
    address = next((a for a in args if isinstance(a, (str, bytes, tuple))), "")
    with open(os.environ["ATTEMPTS"], "a") as out:
        out.write(f"{address!r}\\n")
    if "ONCE" in os.environ:
        os._exit(0)
    raise OSError("no network here")

socket.getaddrinfo = socket.create_connection = refuse
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
"""


def run_watched(tmp_path: Path, root: Path, before: str = "", workers: int = 0, **settings: str) -> list[str]:
    """The attempts to reach the network in a run of two episodes with a bank."""
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    attempts = tmp_path / "attempts"
    attempts.touch()
    quiet = {k: v for k, v in os.environ.items() if not k.startswith(("LANGSMITH", "LANGCHAIN", "OTEL"))}
    env = {**quiet, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root / 'tests'}", "ATTEMPTS": str(attempts), **settings}
    code = [sys.executable, "-c", before + RUN, str(tmp_path), str(workers)]
    done = subprocess.run(code, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "2 won" in done.stdout or "ONCE" in settings
    return attempts.read_text().splitlines()


@pytest.mark.slow
def test_a_run_opens_no_connection(tmp_path: Path, root: Path) -> None:
    assert run_watched(tmp_path, root, workers=1) == []


@pytest.mark.slow
def test_langsmith_has_its_own_switch(tmp_path: Path, root: Path) -> None:
    """Also what shows that the test above could fail."""
    settings = {"LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "none", "LANGSMITH_ENDPOINT": "http://langsmith.invalid"}
    (attempt,) = run_watched(tmp_path, root, ONCE="1", **settings)
    assert "langsmith.invalid" in attempt


def test_opentelemetry_need_not_be_installed(tmp_path: Path, root: Path) -> None:
    assert run_watched(tmp_path, root, before="import sys; sys.modules['opentelemetry'] = None\n") == []
