"""Text environments for Gymnasium: importing this module registers them under ids, `exprag/ALFWorld-v0` and others.

    import gymnasium
    import exprag.gymnasium

    env = gymnasium.make("exprag/ALFWorld-v0", split="train")
    observation, info = env.reset(seed=0)                   # the seed draws the task; info["task"] is its record
    observation, reward, terminated, truncated, info = env.step("look")

Observations and actions are text of any length: Gymnasium's `Text` space has a fixed alphabet, so the spaces here are `AnyText`.
`gymnasium.make_vec` takes the same ids; in mode "async" it needs `vector_kwargs={"shared_memory": False}`, since text of any
length does not fit shared memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from exprag.contracts.environment import Info, TextEnvironment, answering
from exprag.environments import calls
from exprag.environments.episodes import Episodes
from exprag.errors import ConfigError, PluginError
from exprag.trajectory import Task

try:
    import gymnasium
    from gymnasium.spaces import Space
except ImportError as error:
    raise PluginError(f"Environments as Gymnasium's need gymnasium ({error}).", cure="pip install 'exprag[gymnasium]'") from error

IDS = {
    "exprag/ALFWorld-v0": "alfworld",
    "exprag/ALFWorldGenerated-v0": "alfworld-generated",
    "exprag/ScienceWorld-v0": "scienceworld",
    "exprag/WebShop-v0": "webshop",
    "exprag/TextWorld-v0": "textworld",
    "exprag/Drift-v0": "drift",
    "exprag/Environment-v0": "",
}
"""The id of each built-in environment; the last one takes any: `environment="NAME"` or an import path."""


class AnyText(Space[str]):
    """Every string; samples come from `examples`."""

    def __init__(self, examples: tuple[str, ...] = ("look",)) -> None:
        super().__init__(shape=None, dtype=None)
        self.examples = examples

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return self.examples[int(self.np_random.integers(len(self.examples)))]

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText) and other.examples == self.examples

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "AnyText()"

    @property
    def is_np_flattenable(self) -> bool:
        return False


class TextGym(gymnasium.Env[str, str]):
    """Tasks of a text environment as one `gymnasium.Env`.

    environment        the name of an installed environment, an import path, or an object
    split, types       which tasks are drawn from; `tasks` names them instead, by ids or records
    options            options of the environment
    max_steps          after this many steps an episode is truncated; default: the environment's own limit for the task
    admissible_actions True adds them to `info` under that name, where the environment can tell

    `reset(seed=…)` draws the task, and gives the seed to the environment; without a seed Gymnasium's generator goes on.
    `reset(options={"task": …})` names the task. `info` is the environment's, with "task" (a record) after a reset.
    Raises EnvError where the environment breaks; ConfigError where there is no task.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}

    def __init__(
        self,
        environment: str | TextEnvironment = "",
        *,
        split: str = "",
        types: Collection[str] | None = None,
        tasks: Iterable[Task | str] | None = None,
        options: Mapping[str, Any] | None = None,
        max_steps: int | None = None,
        admissible_actions: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if not environment:
            raise ConfigError("No environment is named.", cure='gymnasium.make("exprag/Environment-v0", environment="NAME")')
        self._source = Episodes(environment, options=options, split=split, types=types, tasks=tasks)
        self.environment = self._source.environment
        self.render_mode = render_mode
        self._max_steps, self._with_actions = max_steps, admissible_actions
        self._steps, self._limit, self._text = 0, 0, ""
        self.observation_space = AnyText(("",))
        self.action_space = AnyText(self.environment.action_templates or ("look",))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, Info]:
        super().reset(seed=seed)
        rest = dict(options or {})
        task = rest.pop("task", None)
        if task is None:
            tasks = self._source.tasks()
            record = tasks[int(self.np_random.integers(len(tasks)))]
        else:
            record = calls.find_task(self.environment, task)
        inner_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        with answering(self.environment, "reset"):
            self._text, info = self.environment.reset(seed=inner_seed, options={**rest, "task": record})
        self._steps = 0
        self._limit = self._max_steps or calls.max_steps(self.environment, record)
        return self._text, self._info({"task": record, **info})

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        with answering(self.environment, "step"):
            self._text, reward, terminated, truncated, info = self.environment.step(action)
        self._steps += 1
        return self._text, reward, terminated, truncated or (self._steps >= self._limit and not terminated), self._info(info)

    def render(self) -> Any:
        """The last observation."""
        return self._text

    def close(self) -> None:
        calls.close(self.environment)

    def _info(self, info: Mapping[str, Any]) -> Info:
        actions = calls.admissible_actions(self.environment) if self._with_actions else None
        return dict(info) if actions is None else {**info, "admissible_actions": actions}


def register_ids() -> None:
    """Register the ids of `IDS`, once; importing this module does it."""
    for id, name in IDS.items():
        if id not in gymnasium.registry:
            kwargs = {"environment": name} if name else {}
            gymnasium.register(id, entry_point="exprag.gymnasium:TextGym", kwargs=kwargs)


register_ids()
