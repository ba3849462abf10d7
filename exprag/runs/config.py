"""What a run is: one arm over tasks, fully resolved, so that the saved configuration re-runs it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from exprag.config import AgentSettings
from exprag.contracts.environment import TextEnvironment, answering
from exprag.environments import calls
from exprag.errors import ConfigError
from exprag.trajectory import Task
from exprag.trusted_code import CodePath, ModelName, Options, PluginName


def _shard(text: str) -> str:
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ValueError("a shard is I/N, with I from 1 to N")
    return f"{int(number)}/{int(count)}"


class RunConfig(AgentSettings):
    """One arm over tasks, fully resolved: the saved configuration plays the same run again."""

    sections: ClassVar[Mapping[str, str]] = {
        "name": "Run",
        "environment": "Tasks",
        "expert": "Agent",
        "bank": "Memory",
        "max_steps": "Run",
        "budget_tokens": "Budget",
    }

    name: str = ""
    """Name of the run, kept in each trajectory; default: that of its folder."""
    policy: Literal["agent", "expert"] = "agent"
    """Who plays: the agent with its model, or the environment's own expert."""
    environment: PluginName = Field(min_length=1)
    """Environment plugin."""
    environment_options: Options = Field(default_factory=dict)
    """Options of the environment, NAME=VALUE."""
    split: str = "test"
    """Split of the environment's tasks."""
    types: tuple[str, ...] = ()
    """Task types; default: all."""
    task_ids: tuple[str, ...] = ()
    """Tasks by id, instead of a split; a task named twice is played once."""
    per_type: int | None = Field(None, ge=1)
    """Tasks of each type, at most."""
    limit: int | None = Field(None, ge=1)
    """Tasks in all, at most."""
    shard: Annotated[str, AfterValidator(_shard)] | None = None
    """The part of these tasks that is played here: 2/8 is the second of eight. `exprag merge` joins the parts."""
    shuffle: bool = False
    """Draw the tasks with the seed instead of taking the first."""
    seed: int = 2025
    """Seed of tasks, environment and model."""
    expert: str | None = None
    """The environment's expert, where it plays; default: its first."""
    model: ModelName = "case-based"
    """Chat model spec: case-based, hf:<folder or id>, openai:<model> …"""
    graph: CodePath = None
    """A graph of your own in place of the agent's: FILE.py:ATTRIBUTE or MODULE:ATTRIBUTE."""
    bank: str | None = None
    """Experience bank; without one the agent has no memory."""
    bank_version: int | None = None
    """Version of the bank; default: the latest, pinned when the run starts."""
    learn: Literal["none", "success", "all"] = "none"
    """Which finished episodes enter the run's own copy of the bank."""
    learn_rule: CodePath = None
    """MODULE:FUNCTION that must agree to each episode that enters."""
    learn_every: int = Field(20, ge=1)
    """Tasks of a round; episodes enter after each round."""
    max_steps: int | None = Field(None, ge=1)
    """Step limit of an episode; default: the environment's own."""
    workers: int = Field(2, ge=0)
    """Worker processes; 0 plays in this process, without limits of time or memory."""
    concurrency: int | None = Field(None, ge=1)
    """Episodes side by side in each worker, which share its client of a server. For local models (hf:) in one process that holds
    the weights, with the workers beside it for environments. Default: 16 for local models, else 1."""
    engine: Literal["local", "ray"] = "local"
    """Who plays: worker processes of this machine, or actors of the Ray cluster that RAY_ADDRESS names, each with its workers."""
    actors: int | None = Field(None, ge=1)
    """Ray actors, each with `workers` CPUs; default: as many as the cluster has room for."""
    actor_gpus: float = Field(0.0, ge=0)
    """GPUs of an actor, which holds one copy of a local model; 0.5: two share one."""
    step_timeout: float | None = Field(300.0, gt=0)
    """Seconds that a call of the environment may take; then its worker is ended and the episode recorded. None: any time."""
    episode_timeout: float | None = Field(7200.0, gt=0)
    """Seconds that an episode may take, from its first call to its last. None: any time."""
    setup_timeout: float | None = Field(1800.0, gt=0)
    """Seconds that a worker may take to make its model and plugins; then the run stops. None: any time."""
    worker_memory: float | None = Field(None, gt=0)
    """GB that a worker may hold with all that it started; then it is ended and its episode recorded. With a concurrency above 1
    it is a process of environments that may hold this. None: any amount."""
    stop_after_errors: int | None = Field(10, ge=1)
    """The run stops when this many episodes in a row end in an error of one kind; the same command plays them again. None: it
    goes on."""
    budget_tokens: int | None = Field(None, gt=0)
    """Tokens, read and written, at which the run stops: no episode is begun any more. The same command with more continues it."""
    budget_cost: float | None = Field(None, gt=0)
    """US dollars at which the run stops, by the prices, or as the provider says."""
    budget_minutes: float | None = Field(None, gt=0)
    """Minutes after which the run stops, counted from the start of this command."""
    price_prompt: float | None = Field(None, ge=0)
    """US dollars per million tokens that the model reads."""
    price_completion: float | None = Field(None, ge=0)
    """US dollars per million tokens that it writes."""
    price_cached: float | None = Field(None, ge=0)
    """US dollars per million tokens that it reads from its cache; default: price_prompt."""

    def same_experiment(self, other: RunConfig) -> list[str]:
        """The fields in which the two differ ("agent.k" of the agent), not counting those that cannot change a result."""
        mine, others = (flat(config.model_dump()) for config in (self, other))
        return [name for name in mine if not changes_no_result(name) and mine[name] != others.get(name)]


def choose_tasks(environment: TextEnvironment, config: RunConfig) -> list[Task]:
    """The tasks of a configuration, in a fixed order. Raises ConfigError where there are none."""
    if config.task_ids:
        return _once(calls.find_task(environment, task_id) for task_id in config.task_ids)
    with answering(environment, "tasks"):
        tasks = _once(environment.tasks(config.split, config.types or None))
    if config.shuffle:
        random.Random(config.seed).shuffle(tasks)
    if config.per_type is not None:
        by_type: dict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            if len(by_type[task.type]) < config.per_type:
                by_type[task.type].append(task)
        tasks = [task for group in by_type.values() for task in group]
    tasks = tasks[: config.limit]
    if not tasks:
        raise ConfigError(f"Environment {config.environment!r} has no tasks in split {config.split!r} of these types.")
    return tasks


def _once(tasks: Iterable[Task]) -> list[Task]:
    """Each task once, where it came first."""
    by_key: dict[str, Task] = {}
    for task in tasks:
        by_key.setdefault(task.key, task)
    return list(by_key.values())


_FREE = {"workers", "concurrency", "engine", "actors", "actor_gpus", "worker_memory"}
_FREE |= {"step_timeout", "episode_timeout", "setup_timeout", "stop_after_errors"}


def changes_no_result(name: str) -> bool:
    """Whether a field only says how a run is played, not what comes out."""
    return name in _FREE or name.startswith(("budget_", "price_"))


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dumped configuration by name, those of the agent as "agent.NAME"."""
    fields = {name: value for name, value in values.items() if name != "agent"}
    return fields | {f"agent.{name}": value for name, value in (values.get("agent") or {}).items()}
