"""The order in which the tasks of a stream come, and what is chosen about a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from exprag.config import Settings
from exprag.runs.config import RunConfig
from exprag.trajectory import Task
from exprag.trusted_code import Options, PluginName

HINTS = 3


class StreamConfig(Settings):
    """One stream: the agent and its tasks, their order, and what its memory keeps. `run.learn` says which episodes enter the
    bank, `run.learn_every` how many visits a round has, `run.bank` with what the memory begins."""

    sections: ClassVar[dict[str, str]] = {"run": "Stream"}

    run: RunConfig
    """The agent and its tasks, as of `exprag run`."""
    arrival: Literal["isolated", "by-type", "interleaved"] = "by-type"
    """by-type: type by type; isolated: likewise, but before each the memory is as it began; interleaved: types take turns."""
    revisits: bool = True
    """Whether tasks come again: by-type, all at the end; interleaved, each after half as many others; isolated: never."""
    distiller: PluginName = ""
    """What writes items from the episodes of a round; default: nothing does."""
    distiller_options: Options = Field(default_factory=dict)
    """Options of the distiller, NAME=VALUE."""
    expert: str | None = None
    """The expert for a distiller that needs one; default: the environment's first."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.run.policy != "agent" or self.run.graph or self.run.shard:
            raise ValueError("run is an agent's, not an expert's, a graph's or a shard's")
        if self.run.learn == "none" and not self.distiller:
            raise ValueError("the memory does not grow: choose learn (success or all), or a distiller")
        return self

    def arm(self, memory: bool) -> RunConfig:
        """The run of the agent with memory, or without, its tasks and its bank left open."""
        agent = self.run.agent
        if not memory:
            agent = agent.changed(k=0, hint_k=0, document_k=0)
        elif self.distiller:
            agent = agent.changed(hint_k=agent.hint_k or HINTS)
        fields = {"bank": None, "bank_version": None, "learn": "none", "learn_rule": None, "name": "memory" if memory else "none"}
        return RunConfig.make(**{**self.run.model_dump(), **fields, "agent": agent})


class Arrival(NamedTuple):
    """A task as it comes: `again`, where it has come before; its round, and the chapter of the memory that it reads."""

    task: Task
    again: bool
    round: int
    chapter: int


def arrivals(tasks: Sequence[Task], config: StreamConfig) -> list[Arrival]:
    """The tasks in the order in which they come. A round has at most `run.learn_every` of them, none twice, and ends with the
    type unless types take turns."""
    by_type: dict[str, list[Task]] = {}
    named = config.run.types
    for task in sorted(tasks, key=lambda task: named.index(task.type) if task.type in named else len(named)):
        by_type.setdefault(task.type, []).append(task)
    visits = list(_ordered(list(by_type.values()), config))
    result: list[Arrival] = []
    number, start = 0, 0
    for place, (task, again) in enumerate(visits):
        current = [visit for visit, _ in visits[start:place]]
        other = current and config.arrival != "interleaved" and (visits[start][0].type, visits[start][1]) != (task.type, again)
        if len(current) == config.run.learn_every or task in current or other:
            number, start = number + 1, place
        chapter = list(by_type).index(task.type) if config.arrival == "isolated" else 0
        result.append(Arrival(task, again, number, chapter))
    return result


def _ordered(groups: list[list[Task]], config: StreamConfig) -> Iterator[tuple[Task, bool]]:
    """Tasks, and whether they come again."""
    if config.arrival != "interleaved":
        tasks = [task for group in groups for task in group]
        yield from ((task, False) for task in tasks)
        if config.revisits and config.arrival == "by-type":
            yield from ((task, True) for task in tasks)
        return
    tasks = [task for turn in zip_longest(*groups) for task in turn if task is not None]
    lag = max(1, len(tasks) // 2)
    for place, task in enumerate(tasks):
        yield task, False
        if config.revisits and place >= lag:
            yield tasks[place - lag], True
    if config.revisits:
        yield from ((task, True) for task in tasks[-lag:])
