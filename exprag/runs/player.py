"""One process's player: the environment and the agent of a configuration, made once, playing task after task.

Runs inside a worker process (or in the caller's, with `workers` 0).
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any, get_type_hints

from exprag.contracts.environment import TextEnvironment
from exprag.environments import calls
from exprag.environments.expert import expert_name, play_expert
from exprag.environments.sessions import Sessions
from exprag.errors import ConfigError, ExpragError, describe
from exprag.faults import log_fault
from exprag.isolation import FAULTS, ctrl_c_is_apart, watch_ctrl_c
from exprag.metering import measured
from exprag.plugins import create
from exprag.runs.config import RunConfig
from exprag.trajectory import EpisodeError, Provenance, Task, Trajectory, now

log = logging.getLogger("exprag.runs")

EXPERT_STEPS = 500  # gold paths may be longer than the limit that an agent has


def make_environment(config: RunConfig) -> TextEnvironment:
    """The environment of a configuration, not started yet."""
    environment: TextEnvironment = create("environment", config.environment, **config.environment_options)
    return environment


class ExpertPlayer:
    """Plays the environment's own expert."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._environment = make_environment(config)
        expert_name(self._environment, config.expert)

    def play(self, task: Task) -> Trajectory:
        config = self._config
        steps = config.max_steps or EXPERT_STEPS
        return play_expert(self._environment, task, config.expert, seed=config.seed, run=config.name, max_steps=steps)

    def recover(self) -> None:
        self.close()

    def close(self) -> None:
        calls.close(self._environment)


class AgentPlayer:
    """Plays the graph with the configuration's model and bank. Construction raises what would fail every episode.

    With a `concurrency` above 1 it may be used by that many threads; its environments are then in processes of their own, which
    log to the run's `folder`.
    """

    def __init__(self, config: RunConfig, folder: str | None = None) -> None:
        from exprag.graph import Context, build_agent

        self._config = config
        self._context = Context(run=config.name)
        self._hosts = None
        if (config.concurrency or 1) > 1:
            from exprag.runs.environment_process import EnvironmentHosts

            self._hosts = EnvironmentHosts(config, make_environment(config), folder)
        factory = self._hosts.make if self._hosts else partial(make_environment, config)
        self._sessions = Sessions(factory, capacity=config.concurrency or 1)
        bank = None
        if config.bank is not None:
            from exprag.bank import Bank

            bank = Bank.open(config.bank, version=config.bank_version)
        self._agent = build_agent(self._sessions, config.model, bank=bank, config=config.agent, max_steps=config.max_steps)

    def play(self, task: Task) -> Trajectory:
        started = time.perf_counter()
        with measured() as meter:
            state = self._agent.invoke(
                {"task": task.to_dict(), "seed": self._config.seed}, context=self._context, output_keys=["trajectory"]
            )
        trajectory = Trajectory.from_dict(state["trajectory"])
        seconds = round(time.perf_counter() - started, 3)
        extra = meter.to_json() | trajectory.provenance.extra
        provenance = trajectory.provenance.model_copy(update={"seconds": seconds, "extra": extra})
        return trajectory.model_copy(update={"provenance": provenance})

    def recover(self) -> None:
        """Go on after a fault that was not the environment's: what state that is in, nobody knows. Where others play beside it,
        their environments are left alone, and that of the fault is reset before it is used."""
        if self._hosts is None:
            self._sessions.close()

    def close(self) -> None:
        self._sessions.close()
        if self._hosts is not None:
            self._hosts.close()


class GraphPlayer:
    """Plays a graph of the user's own, which takes a task and a seed and ends with a `trajectory` in its state."""

    def __init__(self, config: RunConfig) -> None:
        from exprag.graph.load import load_graph

        self._config = config
        self._graph = load_graph(config.graph or "", config.environment, _settings(config))
        takes = get_type_hints(self._graph.context_schema) if self._graph.context_schema else {}
        values = {"run": config.name, "max_steps": config.max_steps}
        self._context = {name: value for name, value in values.items() if name in takes} or None
        self.works = False
        """Whether it has played an episode: what it raises before that would fail every episode."""

    def play(self, task: Task) -> Trajectory:
        """Raises ConfigError where the graph does not keep to its part; what a node raises ends the episode as data."""
        started = time.perf_counter()
        state: dict[str, Any] = {}
        try:
            episode = {"task": task.to_dict(), "seed": self._config.seed}
            with measured() as meter:
                for state in self._graph.stream(episode, context=self._context, stream_mode="values"):  # noqa: B007
                    pass
            trajectory = self._ended(state)
        except ExpragError:
            raise
        except Exception as error:  # noqa: BLE001 - somebody else's node may raise anything; the run goes on
            trajectory = self._broken(task, state, error)
        provenance = trajectory.provenance
        seconds = round(time.perf_counter() - started, 3)
        self.works = True
        extra = meter.to_json() | provenance.extra
        run = provenance.run or self._config.name
        provenance = provenance.model_copy(update={"seconds": seconds, "run": run, "extra": extra})
        return trajectory.model_copy(update={"provenance": provenance})

    def _ended(self, state: dict[str, Any]) -> Trajectory:
        name = self._config.graph
        if state.get("__interrupt__"):
            raise ConfigError(
                f"The graph {name} waits for a person, and a run has nobody to answer.",
                cure="Let it ask only where its context names no `run`.",
            )
        if not state.get("trajectory"):
            raise ConfigError(
                f"The graph {name} ended without a `trajectory` in its state.",
                cure="Let it end with the node `exprag.graph.Finish`, or put a Trajectory there as JSON.",
            )
        return Trajectory.from_dict(state["trajectory"])

    def _broken(self, task: Task, state: dict[str, Any], error: Exception) -> Trajectory:
        """What was played before a node raised."""
        where = next((note for note in getattr(error, "__notes__", ()) if note.startswith("During task")), "")
        return Trajectory.from_dict(
            {
                "task": task,
                "steps": state.get("steps") or (),
                "final_observation": state.get("observation") or "",
                "success": False,
                "score": state.get("score") or 0.0,
                "ended": "error",
                "provenance": {"run": self._config.name, "created": now(), "seed": self._config.seed},
                "error": {
                    "boundary": "graph",
                    "message": f"The graph {self._config.graph} raised {type(error).__name__}: {error}. {where}".strip(),
                },
            }
        )

    def recover(self) -> None:
        """The graph knows what it needs."""

    def close(self) -> None:
        """The graph holds what it made; it goes with the process."""


def _settings(config: RunConfig) -> dict[str, Any]:
    """What the configuration says of the agent, other than by default: for a function that makes the graph."""
    settings = {
        name: getattr(config, name)
        for name in ("model", "bank", "environment_options")
        if getattr(config, name) != RunConfig.model_fields[name].get_default(call_default_factory=True)
    }
    if config.bank is not None:
        from exprag.bank import Bank

        settings["bank"] = Bank.open(config.bank, version=config.bank_version)
    if config.agent != type(config.agent)():
        settings["config"] = config.agent
    return settings


Player = ExpertPlayer | AgentPlayer | GraphPlayer


def make_player(config: RunConfig, folder: str | None = None) -> Player:
    """The player that the configuration asks for. What goes wrong inside an episode is in its trajectory."""
    if config.policy == "expert":
        return ExpertPlayer(config)
    return GraphPlayer(config) if config.graph else AgentPlayer(config, folder)


def play(player: Player, config: RunConfig, task: Task, *, alone: bool = False) -> Trajectory:
    """Play a task. Whatever breaks the episode is in its trajectory: an error, an exit, an interrupt that code in it raised.

    `alone`: nothing else is done in this process, so that nothing that is raised can be meant for somebody else. Raises
    ExpragError where a graph of the user's own does not keep to its part, KeyboardInterrupt where the user pressed Ctrl-C.
    """
    faults: tuple[type[BaseException], ...] = (Exception, SystemExit, GeneratorExit)
    with watch_ctrl_c():  # round the handlers too: where it ends, the user's Ctrl-C is a KeyboardInterrupt again
        faults = (BaseException,) if alone else FAULTS if ctrl_c_is_apart() else faults
        try:
            return player.play(task)
        except ExpragError as error:
            if isinstance(player, GraphPlayer) and (isinstance(error, ConfigError) or not player.works):
                raise
            log_fault(error)
            return failed(config, task, error.boundary, str(error))
        except faults as error:
            log.warning("%s: code in the episode raised %s", task.key, describe(error), exc_info=error)
            player.recover()
            return failed(config, task, "plugin", f"Code in the episode raised {describe(error)} Its traceback is in log.txt.")


def failed(config: RunConfig, task: Task, boundary: str, message: str) -> Trajectory:
    """The record of an episode that has none of its own."""
    return Trajectory(
        task=task,
        ended="error",
        success=False,
        score=0.0,
        source="expert" if config.policy == "expert" else "agent",
        provenance=Provenance(run=config.name, model=config.model, created=now(), seed=config.seed),
        error=EpisodeError(boundary=boundary, message=message),
    )

