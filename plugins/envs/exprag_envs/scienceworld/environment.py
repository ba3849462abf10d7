"""ScienceWorld as an environment plugin: tasks, episodes, score, expert. `simulator` runs the JVM."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from exprag.contracts.environment import Info, TextEnvironment, make_fingerprint
from exprag.errors import ConfigError, EnvError, closest
from exprag.trajectory import Task
from exprag_envs.jvm import need_heap
from exprag_envs.scienceworld import splits
from exprag_envs.scienceworld.grammar import ACTION_TEMPLATES, is_electrical, parse_simplifications, templates_under
from exprag_envs.scienceworld.limits import STEP_LIMITS
from exprag_envs.scienceworld.simulator import Reply, Simulator

NAME = "scienceworld"
OVER = "The episode is over."
# How the simulator says that it did not understand. The third is its answer to a number that was not one of those offered.
NOT_UNDERSTOOD = ("No known action matches that input.", "I'm not sure what that means", "Unknown action.", "ERROR: ")


class ScienceWorld(TextEnvironment):
    """Task ids are "boil/12": a task of the package and one of its variations; the type is the task's name.

    simplifications   the package's own, with commas between: "teleportAction,openDoors", or "easy" for its easy preset
    heap              the JVM's largest heap, as Java writes it

    The score is the package's (0..100, -100 for focusing on a wrong object) divided by 100; success is a score of 1.0. The
    seed of `reset` changes nothing: a variation is one fixed world.
    """

    name = NAME
    type_groups = splits.WORDS
    splits = splits.SPLITS
    action_templates: tuple[str, ...] = ACTION_TEMPLATES
    experts = ("gold",)

    def __init__(self, simplifications: str = "", heap: str = "512m") -> None:
        self.simplifications = parse_simplifications(simplifications)
        self.action_templates = templates_under(self.simplifications)
        self.heap = need_heap(heap)
        self._simulator: Simulator | None = None
        self._task: Task | None = None
        self._steps = 0
        self._score = 0
        self._moves = 0
        self._over = False

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        """In the order of `splits.TASKS`, then by variation. `types` may also hold the words "easy" and "hard", which stand
        for the ExpRAG paper's trained-on and held-out types."""
        names = splits.expand(types)
        splits.need_split(split)
        return (_task(name, number) for name in names for number in splits.variations(name, split))

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        if not isinstance(task, str):
            return super().task(task)
        name, _, number = task.partition("/")
        if name not in splits.TASKS:
            raise EnvError(f"ScienceWorld has no task {task!r}.", cure=closest(name, list(splits.TASKS)))
        if not re.fullmatch(r"0|[1-9]\d{0,5}", number) or int(number) >= splits.TASKS[name]:
            raise EnvError(
                f"ScienceWorld has no task {task!r}: no such variation.",
                cure=f"{name} has variations 0 to {splits.TASKS[name] - 1}.",
            )
        return _task(name, int(number))

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        """The first observation is what "look around" says, as in the package's own `reset`."""
        if not options or "task" not in options:
            raise EnvError("No task to reset to.", cure='Give reset(options={"task": "boil/0"}).')
        # A task from elsewhere may be a stored one: what it says of itself is checked against the present package.
        current = self.task(self.task(options["task"]).id)
        self._task = None
        text = self._load(current, gold=False)
        return text, self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """Truncated is never true: the step limit belongs to whoever runs the episode. An ambiguous action is answered by a
        numbered list; the next action is then a number of it (anything else cancels)."""
        simulator = self._playing()
        if self._over:
            return OVER, 0.0, True, False, self._info() | {"valid": False}
        try:
            reply = simulator.step(action)
        except EnvError:
            self._task = None
            raise
        before, self._steps = self._score, self._steps + 1
        self._take(reply)
        valid = not reply.text.startswith(NOT_UNDERSTOOD)
        return reply.text, (self._score - before) / 100, self._over, False, self._info() | {"valid": valid}

    def admissible_actions(self) -> list[str]:
        """The package's valid actions of this moment, sorted, without duplicates (some 30 ms)."""
        return [] if self._over else self._playing().admissible()

    def expert(self, name: str | None = None) -> Iterator[str]:
        """The one expert, "gold", is the package's scripted solution.

        Ask for it right after `reset`: the variation is loaded again with the solution (0.1 s to some seconds), and stands at
        its beginning.
        """
        if name not in (None, *self.experts):
            raise ConfigError(f"ScienceWorld has no expert {name!r}.", cure=closest(str(name), list(self.experts)))
        simulator = self._playing()
        if self._steps:
            raise EnvError(
                f"The gold path begins at the first step; {self._steps} steps were played.", cure="Ask for it right after reset."
            )
        assert self._task is not None
        self._load(self._task, gold=True)
        return iter(simulator.gold_path())

    def max_steps(self, task: Task) -> int:
        """By task type, 50 to 150; see `limits`."""
        return STEP_LIMITS[self.task(task).id.rpartition("/")[0]]

    def fingerprint(self) -> str:
        grammar = [*self.action_templates, *(f"simplification: {name}" for name in self.simplifications)]
        return make_fingerprint(self.name, version("scienceworld"), grammar)

    @property
    def jvm_pid(self) -> int | None:
        """The process id of the running JVM, to watch its memory with; None where none runs."""
        return self._simulator.pid if self._simulator is not None and self._simulator.alive else None

    def close(self) -> None:
        simulator, self._simulator, self._task = self._simulator, None, None
        if simulator is not None:
            simulator.close()

    def _load(self, task: Task, *, gold: bool) -> str:
        name, _, number = task.id.rpartition("/")
        if "noElectricalAction" in self.simplifications and is_electrical(name):
            raise EnvError(f"{task.id} is about circuits.", cure="Leave out the simplification noElectricalAction.")
        self._task = None
        instruction, reply = self._running().load(name, int(number), ",".join(self.simplifications), gold)
        self._task = task.model_copy(update={"instruction": _plain(instruction)})
        self._steps = 0
        self._take(reply)
        return reply.text

    def _take(self, reply: Reply) -> None:
        self._score, self._moves = reply.score, reply.moves
        # The package's Python layer ends an episode at a negative score; the simulator alone does not always.
        self._over = reply.completed or reply.score < 0 or reply.score >= 100

    def _info(self) -> Info:
        score = self._score / 100
        return {"task": self._task, "score": score, "success": self.succeeded(score), "moves": self._moves}

    def _running(self) -> Simulator:
        if self._simulator is not None and not self._simulator.alive:
            self.close()
        if self._simulator is None:
            self._simulator = Simulator(self.heap)
        return self._simulator

    def _playing(self) -> Simulator:
        if self._simulator is None or self._task is None:
            raise EnvError("There is no episode to play.", cure="Call reset first.")
        return self._simulator


def _task(name: str, variation: int) -> Task:
    return Task(
        environment=NAME,
        id=f"{name}/{variation}",
        split=splits.split_of(name, variation),
        type=name,
        metadata={"variation": variation},
    )


def _plain(description: str) -> str:
    return re.sub(r"^\s*Task Description:\s*", "", description, flags=re.IGNORECASE).strip()
