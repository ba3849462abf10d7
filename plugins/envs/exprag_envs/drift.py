"""API drift: any environment with its action verbs renamed, like a tool whose interface changed after training.

The first word of every action template gets an invented word, drawn from the seed and the word. Actions, admissible actions and
the expert's are translated both ways; what the environment shows stays as it is, but for the list that `help` prints. A renamed
verb's old word is not understood any more. Words that no template begins with pass unchanged. `Drift.documentation` lists
the new words: a document to retrieve, or to withhold from the agent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from exprag import hookimpl
from exprag.contracts.environment import Info, TextEnvironment, make_fingerprint
from exprag.environments.renaming import first_word, invent_verbs, replace_verb
from exprag.errors import ConfigError, EnvError
from exprag.hookspecs import Register
from exprag.trajectory import Task

# What the environment gets in place of an old word: a word that it cannot know, so that it gives its usual answer to those.
_GIBBERISH = "qzxv"


@hookimpl
def register_environments(register: Register) -> None:
    register(
        "drift",
        "exprag_envs.drift:Drift",
        description="any environment with its action verbs renamed by a seed: environment=NAME, seed=0, options={…}",
    )


class Drift(TextEnvironment):
    """The environment `environment`, made with `options`, with verbs renamed by `seed`.

    `document` False keeps the old templates in `action_templates`: the prompt is then as stale as what was learnt.
    Tasks are the inner ones under ids "ENVIRONMENT/ID"; `metadata["inner"]` is the inner task.
    """

    name = "drift"

    def __init__(self, environment: str, seed: int = 0, options: Mapping[str, Any] | None = None, document: bool = True) -> None:
        from exprag import plugins

        self.inner: TextEnvironment = plugins.create("environment", environment, **(options or {}))
        self.seed = seed
        self.renamed = invent_verbs(self.inner.action_templates, seed)
        if not self.renamed:
            raise ConfigError(f"Environment {environment!r} has no action template that begins with a word: nothing to rename.")
        self._original = {new: old for old, new in self.renamed.items()}
        self.splits, self.experts = self.inner.splits, self.inner.experts
        templates = self.inner.action_templates
        self.action_templates = tuple(map(self.to_new, templates)) if document else templates

    def to_new(self, action: str) -> str:
        """An action of the inner environment in the new words."""
        return replace_verb(action, self.renamed)

    def to_old(self, action: str) -> str | None:
        """An action in the new words as the inner environment knows it; None if its verb was renamed away."""
        word = first_word(action)
        return None if word and word[2].lower() in self.renamed else replace_verb(action, self._original)

    def documentation(self) -> str:
        """The new words, by template: what a changed tool's release notes would say."""
        lines = [f"- `{self.to_new(template)}` (was `{template}`)" for template in self.inner.action_templates]
        return "\n".join(
            [
                f"# Actions of {self.inner.name} have been renamed",
                "",
                "The first word of an action is a new one; the rest is as it was. The old words are no longer understood.",
                "",
                *lines,
                "",
            ]
        )

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        return map(self._wrap, self.inner.tasks(split, types))

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        if not isinstance(task, str):
            return super().task(task)
        environment, _, id = task.partition("/")
        if environment != self.inner.name:
            raise EnvError(
                f"Drift over {self.inner.name!r} has no task {task!r}.", cure=f"Its ids begin with {self.inner.name + '/'!r}."
            )
        return self._wrap(self.inner.task(id))

    def _wrap(self, task: Task) -> Task:
        changes = {"environment": self.name, "id": f"{task.environment}/{task.id}", "metadata": {"inner": task.to_dict()}}
        return task.model_copy(update=changes)

    def _inner_task(self, task: Task) -> Task:
        if "inner" not in task.metadata:
            return self._inner_task(self.task(task.id))
        return self.inner.task(Task.from_dict(task.metadata["inner"]))

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        option = (options or {}).get("task")
        if option is None:
            raise EnvError("Drift needs to know its task.", cure='reset(options={"task": …}) with one of tasks(SPLIT).')
        inner = self._inner_task(self.task(option))
        observation, info = self.inner.reset(seed=seed, options={**(options or {}), "task": inner})
        return observation, {**info, "task": self._wrap(Task.from_dict(info.get("task", inner)))}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """The inner environment's step. An old word gets its answer to something unknown, and is not valid."""
        old = self.to_old(action)
        observation, reward, terminated, truncated, info = self.inner.step(_GIBBERISH if old is None else old)
        if old is None:
            info = {**info, "valid": False}
        elif old.strip().lower() == "help":
            observation = "\n".join(map(self.to_new, observation.split("\n")))
        return observation, reward, terminated, truncated, info

    def admissible_actions(self) -> list[str] | None:
        actions = self.inner.admissible_actions()
        return None if actions is None else [self.to_new(action) for action in actions]

    def expert(self, name: str | None = None) -> Iterator[str]:
        return map(self.to_new, self.inner.expert(name))

    def max_steps(self, task: Task) -> int:
        return self.inner.max_steps(self._inner_task(task))

    def succeeded(self, score: float) -> bool:
        return self.inner.succeeded(score)

    def fingerprint(self) -> str:
        """Of the inner environment and of the renaming: an action stored under another seed is not understood."""
        return make_fingerprint(self.name, self.inner.fingerprint(), (f"{old} {new}" for old, new in self.renamed.items()))

    def close(self) -> None:
        self.inner.close()
