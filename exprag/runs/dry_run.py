"""A run's first prompt exactly as it would be sent, and what the run would take. Nothing is played and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from exprag.environments import calls
from exprag.environments.sessions import Sessions
from exprag.errors import ConfigError, ExpragError
from exprag.runs.config import RunConfig
from exprag.runs.directory import BANK, RunDirectory
from exprag.runs.engine import resolve
from exprag.runs.estimate import ANSWER, Estimate, Prompt, estimate
from exprag.runs.player import make_environment
from exprag.runs.readable import readable
from exprag.runs.totals import Prices, Totals
from exprag.trajectory import Task

_ROLES = {"human": "user", "ai": "assistant"}


@dataclass(frozen=True)
class DryRun:
    """What `exprag run --dry-run` shows.

    task      the first task that would be played; None where nothing is left to play
    messages  (role, text) of each message of its first prompt; none where an expert or a graph of the user's own plays
    rendered  the same as one text, as the model's chat template writes it; "" where a server does that
    tokens    of the prompt: the model's own count where its tokenizer is here, else four characters are taken for one
    estimate  what is left to play
    """

    tasks: int
    task: Task | None
    messages: tuple[tuple[str, str], ...]
    rendered: str
    tokens: int
    estimate: Estimate


def dry_run(config: RunConfig, out: str | Path) -> DryRun:
    """Look at what `run(config, out)` would do. Raises what it would raise before its first episode."""
    directory = RunDirectory(readable(out))
    prices = Prices.of(config)
    config, environment, _, tasks = resolve(config, directory)
    directory.check()
    if (directory.path / "config.json").exists() and directory.entries():
        directory.check_same(config)
    left = directory.missing(tasks)
    first = left[0] if left else None
    messages: tuple[tuple[str, str], ...] = ()
    rendered, prompt = "", None
    if first is not None and config.policy == "agent" and config.graph is None:
        messages, rendered, prompt = _first_prompt(config, directory, first)
    limit = config.max_steps or (calls.max_steps(environment, first) if first else 0)
    expectation = estimate(len(left), limit, Totals.of(directory.entries()), prices, prompt)
    return DryRun(len(tasks), first, messages, rendered, prompt.first if prompt else 0, expectation)


def _first_prompt(config: RunConfig, directory: RunDirectory, task: Task) -> tuple[tuple[tuple[str, str], ...], str, Prompt]:
    """The messages to the model at the first step: by the very nodes that the run's graph is made of."""
    from exprag.graph.parts import make_nodes

    sessions = Sessions(partial(make_environment, config), capacity=1)
    try:
        nodes = make_nodes(sessions, config.model, bank=_bank(config, directory), config=config.agent, max_steps=config.max_steps)
        start = calls.find_task(sessions.describe, task.to_dict())
        state: dict[str, Any] = {"task": start.to_dict(), "seed": config.seed, "episode": "dry-run", "steps": []}
        state |= nodes.observe(state)  # type: ignore[arg-type]
        if nodes.retrieve is not None:
            state |= nodes.retrieve(state)  # type: ignore[arg-type]
        messages, model = nodes.act.messages(state), nodes.act.model  # type: ignore[arg-type]
        render = getattr(model, "_to_chat_prompt", None)
        rendered = render(messages) if callable(render) else ""
        texts = [(_ROLES.get(message.type, message.type), str(message.text)) for message in messages]
        prompt = _measure(model, rendered, texts, state["observation"])
    finally:
        sessions.close()
    return tuple(texts), rendered, prompt


def _measure(model: Any, rendered: str, texts: Sequence[tuple[str, str]], observation: str) -> Prompt:
    from exprag.models import token_counter

    count = token_counter(model)
    return Prompt(count(rendered or "\n".join(text for _, text in texts)), count(observation) + ANSWER)


def _bank(config: RunConfig, directory: RunDirectory) -> Any:
    """The bank that the first episode would read: the run's own if it has begun to learn, else the one it starts from."""
    from exprag.bank import Bank

    own = directory.path / BANK
    if config.learn != "none" and Bank.exists(own):
        return Bank.open(own)
    if config.bank is None:
        return None
    version = config.bank_version
    if version is None and (directory.path / "config.json").exists():
        try:
            version = directory.config(allow_code=True).bank_version
        except ExpragError as error:
            raise ConfigError(f"{directory.path}: {error.message}", cure=error.cure) from error
    return Bank.open(config.bank, version=version)
