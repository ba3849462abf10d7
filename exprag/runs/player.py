"""One process's player: the environment and the agent of a configuration, made once, playing task after task.

Runs inside a worker process (or in the caller's, with `workers` 0).
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from exprag.environment import TextEnvironment
from exprag.plugins import create
from exprag.rollout import play_expert
from exprag.runs.config import RunConfig
from exprag.sessions import Sessions
from exprag.trajectory import Task, Trajectory

EXPERT_STEPS = 500  # gold paths may be longer than the limit that an agent has


def make_environment(config: RunConfig) -> TextEnvironment:
    """The environment of a configuration, not started yet."""
    made: TextEnvironment = create("environment", config.environment, **config.environment_options)
    return made


class Player:
    """Plays tasks as the configuration says. Raises on construction what would fail every episode."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self._sessions = Sessions(partial(make_environment, config), capacity=1)
        if config.policy == "expert":
            self._environment = make_environment(config)
            return
        from exprag.graph import build_agent

        self._agent = build_agent(
            partial(make_environment, config),
            config.model,
            retriever=self._retriever() if config.bank is not None else None,
            formatter=config.formatter,
            memory_budget=config.memory_budget,
            style=config.style,
            max_steps=config.max_steps,
            sessions=self._sessions,
        )

    def _retriever(self) -> Any:
        from exprag.bank import Bank
        from exprag.retrieval import Retriever

        assert self.config.bank is not None
        bank = Bank.open(self.config.bank, version=self.config.bank_version)
        return Retriever(
            bank,
            strategy=self.config.strategy,
            selector=self.config.selector,
            k=self.config.k,
            refresh=self.config.refresh,
        )

    def play(self, task: Task) -> Trajectory:
        """One episode. What goes wrong inside it is in the trajectory's `error`."""
        config = self.config
        if config.policy == "expert":
            steps = config.max_steps or EXPERT_STEPS
            return play_expert(
                self._environment, task, config.expert, seed=config.seed, run=config.name, max_steps=steps
            )
        from exprag.graph import Context

        started = time.perf_counter()
        state = self._agent.invoke({"task": task.to_dict(), "seed": config.seed}, context=Context(run=config.name))
        trajectory = Trajectory.from_dict(state["trajectory"])
        seconds = round(time.perf_counter() - started, 3)
        provenance = trajectory.provenance.model_copy(update={"seconds": seconds})
        return trajectory.model_copy(update={"provenance": provenance})

    def close(self) -> None:
        self._sessions.close()
        if self.config.policy == "expert":
            self._environment.close()
