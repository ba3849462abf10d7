"""Environments for TRL's GRPO, with experience: the class for `GRPOTrainer(environment_factory=…)` (TRL 1.16).

    from exprag.integrations.trl import environment_factory, task_rows

    trainer = GRPOTrainer(
        model=model,
        args=args,
        train_dataset=Dataset.from_list(task_rows("alfworld", split="train", limit=100)),
        environment_factory=environment_factory("alfworld", bank="bank", k=2),
    )

Each rollout has an environment of its own. Its `reset` adds to the user's message: the task, the memory block that the bank gives
for it, and the first observation. The model acts by calling the tool `act`. The reward is the environment's, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from exprag.contracts import Formatter, Moment, TextEnvironment
from exprag.environments.episodes import Episodes
from exprag.errors import ConfigError
from exprag.integrations.recall import as_retriever
from exprag.memory import MemoryState
from exprag.plugins import create
from exprag.prompt.block import MemoryOptions
from exprag.prompt.hint_block import hint_block
from exprag.prompt.recall import recall
from exprag.text import defuse
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from pathlib import Path

    from exprag.bank import Bank
    from exprag.retrieval import Retriever

SYSTEM = (
    "You act in a text environment to fulfil a task. Call the tool `act` with one action at a time and read what happens, "
    "until the task is done."
)


class ExperienceEnvironment:
    """One rollout at a time. TRL takes every public method but `reset` and `get_reward` for a tool: here that is `act`.

    environment      a name, an import path, or an object; `options` go to a named one
    split, types     which tasks are drawn from where a row names none
    bank             a bank, its path, or a Retriever: what is recalled stands before the first observation; None: no memory
    reward           "score" (in [-1, 1]), "success" (0 or 1), or "return", the sum of the environment's rewards
    max_steps        an episode is truncated then; default: the environment's own limit
    retrieval        options of `Retriever`: k, strategy, selector, index_state …

    The bank is asked once, at the reset. An environment that breaks in mid-episode gives the reward None, which TRL leaves out.
    """

    def __init__(
        self,
        environment: str | TextEnvironment,
        *,
        options: Mapping[str, Any] | None = None,
        split: str = "",
        types: Collection[str] | None = None,
        bank: Bank | Retriever | str | Path | None = None,
        formatter: str | Formatter = "chat_json",
        memory: MemoryOptions = MemoryOptions(),  # noqa: B008 - frozen
        reward: Literal["score", "success", "return"] = "score",
        max_steps: int | None = None,
        **retrieval: Any,
    ) -> None:
        if reward not in ("score", "success", "return"):
            raise ConfigError(f"reward is score, success or return; not {reward!r}.")
        if bank is None and retrieval:
            raise ConfigError(f"Without a bank nothing is retrieved; given: {', '.join(retrieval)}.", cure="Name it: bank=…")
        self._episodes = Episodes(environment, options=options, split=split, types=types, max_steps=max_steps)
        self._retriever = None if bank is None else as_retriever(bank, **retrieval)
        self._formatter = create("formatter", formatter) if isinstance(formatter, str) else formatter
        self._memory_options, self._reward = memory, reward
        self._memory = MemoryState()

    def reset(self, task: Any = None, seed: int | None = None, **row: Any) -> str:
        """Start an episode; returns what is added to the user's message.

        `task` is the row's: a task's id or its dict; None draws one, by `seed` where the row has it. Other columns of the row
        change nothing.
        """
        outcome = self._episodes.start(seed=seed, task=task)
        record = self._episodes.task
        self._memory = MemoryState()
        if self._retriever is not None:
            moment = Moment(record, (), outcome.observation)
            self._memory = recall(self._retriever, self._formatter, moment, None, self._memory_options) or MemoryState()
        hints = hint_block([hint.text for hint in self._memory.hints], defuse) if self._memory.hints else ""
        parts = [f"Your task: {record.instruction}", self._memory.text, hints, outcome.observation]
        return "\n\n" + "\n\n".join(part for part in parts if part)

    def act(self, action: str) -> str:
        """Play one action in the environment and read what happens.

        Args:
            action: One action, as the environment understands it.

        Returns:
            What is observed after the action.
        """
        outcome = self._episodes.play(action)
        if self._episodes.over and outcome.valid is not False:
            return f"{outcome.observation}\n\nThe episode is over."
        return outcome.observation

    def get_reward(self) -> float | None:
        """What the episode is worth; None where the environment broke."""
        if self._episodes.broken:
            return None
        if self._reward == "return":
            return float(sum(step.reward for step in self._episodes.steps))
        return float(self._episodes.last.success if self._reward == "success" else self._episodes.last.score)

    @property
    def memory(self) -> MemoryState:
        """What was recalled for this episode."""
        return self._memory

    @property
    def trajectory(self) -> Trajectory:
        """The episode so far, for a bank. Raises EnvError before the first reset."""
        return self._episodes.trajectory

    def __del__(self) -> None:
        episodes = getattr(self, "_episodes", None)
        if episodes is not None:
            episodes.close()


def environment_factory(environment: str, **options: Any) -> Callable[[], ExperienceEnvironment]:
    """The argument of that name of TRL's trainers; options as for `ExperienceEnvironment`. It can be pickled, which trainers with
    processes of their own need, as long as the options can."""
    return partial(ExperienceEnvironment, environment, **options)


def task_rows(
    environment: str | TextEnvironment,
    *,
    options: Mapping[str, Any] | None = None,
    split: str = "",
    types: Collection[str] | None = None,
    limit: int | None = None,
    system: str = SYSTEM,
) -> list[dict[str, Any]]:
    """Rows for `train_dataset`, one a task: `prompt` (a system message with the forms of actions, and a user's message that
    `reset` fills) and `task`, its id. Raises ConfigError where there are none."""
    episodes = Episodes(environment, options=options, split=split, types=types)
    try:
        templates = "\n".join(f"- {template}" for template in episodes.environment.action_templates)
        text = f"{system}\n\nForms of actions:\n{templates}" if templates else system
        prompt = [{"role": "system", "content": text}, {"role": "user", "content": ""}]
        return [{"prompt": prompt, "task": task.id} for task in islice(episodes.tasks(), limit)]
    finally:
        episodes.close()
