"""OpenEnv environments, served or in this process: their task provider's tasks, or seeds where they have none."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from exprag.components import is_import_path
from exprag.contracts.environment import Info, TextEnvironment, make_fingerprint
from exprag.errors import ConfigError, EnvError, closest
from exprag.trajectory import Task
from exprag_envs.bridges.gym_text import ACTION_LISTS
from exprag_envs.bridges.openenv_link import Link, ProcessLink, RefusedAction, ServerLink
from exprag_envs.bridges.seeds import FIRST_SEED, OVER

TEXT_FIELDS = ("text", "observation", "message", "output", "content", "prompt", "stdout", "response")


class OpenEnv(TextEnvironment):
    """An environment of OpenEnv as tasks and texts.

    url              of a running server, "http://127.0.0.1:8000"; or
    environment      a class in this process, "package.module:Class", made with `kwargs`
    action_field     the field of an action that takes the agent's text; default: its only text field. Actions of several fields
                     are written by the agent as a JSON object
    text_field       the field of an observation that is shown; default: a usual one, else the whole observation as JSON
    action_templates forms of actions, for the prompt
    instruction      what the agent is told; default: what the task or the observation says
    success          an episode is won when the sum of its rewards reaches this, where an observation has no `success` of its own
    max_steps        the usual step limit
    tasks_per_split  how many seeds a split has, where there is no task provider
    timeout          seconds that a server may take to answer

    Tasks are "SPLIT/NUMBER". With a task provider a reset names split and index; else it gives a seed, and nothing tells whether
    two seeds are the same task. Whether the same task, seed and actions give the same texts is up to the environment.
    """

    name = "openenv"

    def __init__(
        self,
        url: str = "",
        environment: str = "",
        kwargs: Mapping[str, Any] | None = None,
        action_field: str = "",
        text_field: str = "",
        action_templates: Sequence[str] = (),
        instruction: str = "",
        success: float = 1.0,
        max_steps: int = 50,
        tasks_per_split: int = 100,
        timeout: float = 60.0,
    ) -> None:
        if bool(url) == bool(environment):
            raise ConfigError("OpenEnv needs a server or a class.", cure="--set url=http://… or --set environment=module:Class")
        if environment and not is_import_path(environment):
            raise ConfigError(f"{environment!r} is not an import path.", cure='Write it as "package.module:Class".')
        if url and not url.startswith(("http://", "https://")):
            raise ConfigError(f"{url!r} is not a URL.", cure='Write it as "http://127.0.0.1:8000".')
        self.action_templates = tuple(action_templates)
        self._link: Link = ServerLink(url, timeout) if url else ProcessLink(environment, kwargs or {})
        self._source = url or environment
        self._action_field, self._text_field, self._instruction = action_field, text_field, instruction
        self._success, self._limit, self._count = success, max_steps, tasks_per_split
        self._provided: list[str] | None = None
        self._lists: dict[str, list[Task]] = {}
        self._fields: dict[str, bool] = {}
        self._started = self._over = self._won = False
        self._return, self._score = 0.0, 0.0
        self._observation: Mapping[str, Any] = {}

    @property
    def splits(self) -> tuple[str, ...]:  # type: ignore[override]
        """The task provider's, asked for once."""
        if self._provided is None:
            self._provided = self._link.splits()
        return tuple(self._provided) or tuple(FIRST_SEED)

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        if split not in self.splits:
            raise ConfigError(f"{self._source} has no split {split!r}.", cure=closest(split, list(self.splits)))
        if split not in self._lists:
            specs = self._link.tasks(split) if self._provided else [{}] * self._count
            self._lists[split] = [self._task(split, number, spec) for number, spec in enumerate(specs)]
        return (task for task in self._lists[split] if types is None or task.type in types)

    def _task(self, split: str, number: int, spec: Any) -> Task:
        about = spec if isinstance(spec, Mapping) else {}
        texts = {name: value for name in ("type", "instruction") if isinstance(value := about.get(name), str)}
        return Task(environment=self.name, id=f"{split}/{number}", split=split, **texts)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        option = (options or {}).get("task")
        if option is None:
            raise EnvError("OpenEnv needs to know its task.", cure='reset(options={"task": …}) with one of tasks(SPLIT).')
        task = self.task(self.task(option).id)
        number = int(task.id.rpartition("/")[2])
        arguments = {"split": task.split, "index": number} if self._provided else {"seed": FIRST_SEED[task.split] + number}
        self._started = False
        observation, _, _ = self._link.reset(arguments)
        self._observation = observation
        if not self._fields:
            self._fields = self._link.action_fields()
        self._started, self._over, self._won, self._return, self._score = True, False, False, 0.0, 0.0
        instruction = self._instruction or task.instruction or str(observation.get("instruction") or "")
        text = self._text(observation)
        instruction = instruction or " ".join(text.split())[:200] or f"Act in {self._source}."
        return text or instruction, {**self._info(), "task": task.model_copy(update={"instruction": instruction})}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        if not self._started:
            raise EnvError("OpenEnv was not reset.")
        if self._over:
            return OVER, 0.0, True, False, {**self._info(), "valid": False}
        try:
            self._started = False  # until the step went through
            observation, reward, over = self._link.step(self._action(action))
        except RefusedAction:
            self._started = True
            fields = ", ".join(self._fields) or "none"
            text = f"That action was not understood. Its fields: {fields}."
            return text, 0.0, False, False, {**self._info(), "valid": False}
        self._started, self._over, self._observation = True, over, observation
        self._return += reward
        success = observation.get("success")
        self._won = success if isinstance(success, bool) else over and self._return >= self._success
        score = observation.get("score", self._return)
        self._score = min(1.0, max(-1.0, float(score))) if isinstance(score, int | float) else float(self._won)
        truncated = over and observation.get("truncated") is True
        valid = observation.get("valid")
        info = self._info() if not isinstance(valid, bool) else {**self._info(), "valid": valid}
        return self._text(observation), reward, over and not truncated, truncated, info

    def admissible_actions(self) -> list[str] | None:
        """A list of texts that the observation holds under a usual name."""
        if self._over:
            return []
        names = ("actions", "legal_actions", *ACTION_LISTS)
        lists = [value for name in names if isinstance(value := self._observation.get(name), list)]
        return next((list(dict.fromkeys(value)) for value in lists if all(isinstance(text, str) for text in value)), None)

    def max_steps(self, task: Task) -> int:
        return self._limit

    def fingerprint(self) -> str:
        return make_fingerprint(self.name, "1", (self._source, *self.action_templates))

    def close(self) -> None:
        self._started = False
        self._link.close()

    def _action(self, text: str) -> Mapping[str, Any]:
        """The agent's text as a record of the environment's fields."""
        texts = [name for name, is_text in self._fields.items() if is_text]
        field = self._action_field or (texts[0] if len(texts) == 1 and len(self._fields) == 1 else "")
        if field:
            return {field: text}
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise RefusedAction
        return record

    def _text(self, observation: Mapping[str, Any]) -> str:
        if self._text_field:
            return str(observation.get(self._text_field, ""))
        for name in TEXT_FIELDS:
            if isinstance(observation.get(name), str):
                return str(observation[name])
        return json.dumps(observation, ensure_ascii=False, sort_keys=True, default=str)

    def _info(self) -> Info:
        return {"score": self._score, "success": self._won}
