"""A TextEnvironment as a `gymnasium.Env`, for Gymnasium's checker and for libraries that want one.

Gymnasium's `Text` space has a fixed alphabet and length; observations here are any text, so the space says only that.
"""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.spaces import Space

from exprag.contracts.environment import Info, TextEnvironment
from exprag.trajectory import Task


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

    @property
    def is_np_flattenable(self) -> bool:
        return False


class GymnasiumText(gymnasium.Env[str, str]):
    """One task of a TextEnvironment behind Gymnasium's class; `reset` may name another in `options["task"]`."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, environment: TextEnvironment, task: Task) -> None:
        self.environment = environment
        self.task = task
        self.observation_space = AnyText(("",))
        self.action_space = AnyText(environment.action_templates or ("look",))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, Info]:
        super().reset(seed=seed)
        return self.environment.reset(seed=seed, options={"task": self.task, **(options or {})})

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        return self.environment.step(action)

    def close(self) -> None:
        self.environment.close()


def as_gymnasium(environment: TextEnvironment, task: Task) -> GymnasiumText:
    """The environment on one task, as a `gymnasium.Env`."""
    return GymnasiumText(environment, task)
