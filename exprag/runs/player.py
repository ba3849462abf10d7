"""One process's player: the environment and the agent of a configuration, made once, playing task after task.

Runs inside a worker process (or in the caller's, with `workers` 0).
"""

from __future__ import annotations

import time
from functools import partial

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


class ExpertPlayer:
    """Plays the environment's own expert."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._environment = make_environment(config)

    def play(self, task: Task) -> Trajectory:
        config = self._config
        steps = config.max_steps or EXPERT_STEPS
        return play_expert(self._environment, task, config.expert, seed=config.seed, run=config.name, max_steps=steps)

    def close(self) -> None:
        self._environment.close()


class AgentPlayer:
    """Plays the graph with the configuration's model and bank. Construction raises what would fail every episode."""

    def __init__(self, config: RunConfig) -> None:
        from exprag.graph import Context, build_agent

        self._config = config
        self._context = Context(run=config.name)
        self._sessions = Sessions(partial(make_environment, config), capacity=1)
        bank = None
        if config.bank is not None:
            from exprag.bank import Bank

            bank = Bank.open(config.bank, version=config.bank_version)
        self._agent = build_agent(self._sessions, config.model, bank=bank, arm=config.arm, max_steps=config.max_steps)

    def play(self, task: Task) -> Trajectory:
        started = time.perf_counter()
        state = self._agent.invoke({"task": task.to_dict(), "seed": self._config.seed}, context=self._context)
        trajectory = Trajectory.from_dict(state["trajectory"])
        seconds = round(time.perf_counter() - started, 3)
        provenance = trajectory.provenance.model_copy(update={"seconds": seconds})
        return trajectory.model_copy(update={"provenance": provenance})

    def close(self) -> None:
        self._sessions.close()


Player = ExpertPlayer | AgentPlayer


def make_player(config: RunConfig) -> Player:
    """The player that the configuration's policy asks for. What goes wrong inside an episode is in its trajectory."""
    return ExpertPlayer(config) if config.policy == "expert" else AgentPlayer(config)

