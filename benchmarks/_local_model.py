"""What `batching` and `prefix` share: games with memory, played by a local model in this process."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _alfworld_rows import make_tokenizer
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.environments.sessions import Sessions
from exprag.graph import build_agent
from exprag.models import load_model
from exprag.models.kv_cache import PrefixCache
from exprag.plugins import create
from exprag.runs import RunConfig, choose_tasks
from exprag.runs.environment_process import EnvironmentHosts
from exprag.runs.player import make_environment
from exprag.trajectory import Task, Trajectory

ENVIRONMENT = "alfworld-generated"
WORDS = "go to cabinet 1 take apple 2 from countertop 3 put clean heat cool open close look inventory you are in a room"
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def make_model(folder: Path) -> Path:
    """A small untrained Llama with a tokenizer: for figures that count tokens, and for smoke runs."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = make_tokenizer([WORDS] * 3)
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=16384, **SHAPE)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def fill_bank(place: Path, count: int) -> Path:
    """A bank of the expert's episodes of this many train games."""
    environment = create("environment", ENVIRONMENT)
    tasks = [task for task, _ in zip(environment.tasks("train"), range(count), strict=False)]
    Bank.create(place).add(play_expert(environment, task) for task in tasks)
    return place


@dataclass
class Calls:
    """(prompt, answer) of the engine's calls by task, in the order in which they were made."""

    by_task: dict[str, list[tuple[list[int], Any]]] = field(default_factory=dict)


class Talkative(BaseChatModel):
    """A model whose answers always hold an action, so that games go on for as many steps on every side: the first line of the
    answer, and "look" where there is none. A small model is at a loss as often as not."""

    inner: Any
    _llm_type = "talkative"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        text = str(self.inner.invoke(messages).content)
        line = next((line.strip() for line in text.splitlines() if line.strip()), "look")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(line))])


class Games:
    """The agent of a configuration over tasks, in threads where it plays several at once; environments in their own process."""

    def __init__(self, model: str, bank: Path, **values: Any) -> None:
        about = {"environment": ENVIRONMENT, "split": "test", "bank": str(bank), "k": 1, "workers": 1}
        self.config = RunConfig.make(**{**about, "model": model, **values})
        describe = make_environment(self.config)
        self.tasks = choose_tasks(describe, self.config)
        self._hosts = EnvironmentHosts(self.config, describe)
        sessions = Sessions(self._hosts.make, capacity=self.config.concurrency or 1)
        chat = Talkative(inner=load_model(model))
        self._agent = build_agent(sessions, chat, bank=bank, config=self.config.agent, max_steps=self.config.max_steps)
        self._current: contextvars.ContextVar[str] = contextvars.ContextVar("task")

    def play(self, tasks: list[Task]) -> list[Trajectory]:
        def play(task: Task) -> Trajectory:
            self._current.set(task.key)
            state = self._agent.invoke({"task": task.to_dict(), "seed": self.config.seed})
            return Trajectory.from_dict(state["trajectory"])

        with ThreadPoolExecutor(self.config.concurrency or 1) as threads:
            return list(threads.map(play, tasks))

    @contextmanager
    def recorded(self, engine: Any) -> Iterator[Calls]:
        """Within: the calls of the engine."""
        calls, generate = Calls(), engine.generate

        def record(prompt: list[int], **options: Any) -> Any:
            answer = generate(prompt, **options)
            calls.by_task.setdefault(self._current.get(), []).append((prompt, answer))
            return answer

        engine.generate = record
        try:
            yield calls
        finally:
            del engine.generate

    def close(self) -> None:
        self._hosts.close()


def forget(engine: Any) -> None:
    """Empty the engine's cache, as in a new process."""
    engine.cache = PrefixCache(engine.cache.budget)
