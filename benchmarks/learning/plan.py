"""What is done, as one TOML file says: cpu.toml, gpu.toml, smoke.toml, or one of your own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from exprag.config import Settings, merged, read_settings

FOLDER = Path(__file__).parent


class Lessons(Settings):
    """Which of the expert's episodes are learnt from."""

    longest: int = 20
    """Steps of such an episode."""
    slips: float = 0.4
    """Share of the episodes that are played again with a learner's mistakes in between."""
    limit: int | None = None
    """How many; default: all."""
    seed: int = 2025


class Plan(Settings):
    """Everything that is chosen."""

    environment: str = "alfworld"
    environment_options: dict[str, Any] = Field(default_factory=dict)
    games: str = "games"
    """The folder that the arms' games are kept in. Plans of one folder share bank, lessons and adapters."""
    experience: dict[str, Any] = Field(default_factory=dict)
    """Fields of the run in which the expert plays the train games: the bank."""
    bank: dict[str, Any] = Field(default_factory=dict)
    """Fields of another such run, whose episodes the arms find in place of those. Adapters are trained with the first."""
    lessons: Lessons = Lessons()
    recipe: dict[str, Any] = Field(default_factory=dict)
    """Fields of `exprag.training.Recipe`, over exprag-lora's."""
    agent: dict[str, Any] = Field(default_factory=dict)
    """What all arms with memory, and the rows that are made for them, have in common: fields of `AgentConfig`."""
    adapters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Adapters by name: fields of `exprag.training.DataConfig`."""
    seeds: tuple[int, ...] = (2025,)
    """Each adapter is trained once with each."""
    model: str = ""
    """What follows the folder in the model's spec: "?max_new_tokens=24"."""
    run: dict[str, Any] = Field(default_factory=dict)
    """Fields of the runs that all arms share."""
    tasks: dict[str, dict[str, Any]] = Field(default_factory=lambda: {"easy": {"types": ("easy",)}, "hard": {"types": ("hard",)}})
    """The games that arms play, by name: fields of the run."""
    held_out: int = 10
    """Games of each type that are played in held-out rooms of the train split, with --held-out."""
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    """Arms by name: `adapter`, whose lack is the base itself; `k` and the rest of the agent; `index_states`."""

    @model_validator(mode="after")
    def _adapters_are_there(self) -> Self:
        for name, values in self.arms.items():
            if values.get("adapter", "") not in ("", *self.adapters):
                raise ValueError(f"the arm {name!r} plays an adapter {values['adapter']!r} that is not made")
        return self

    @classmethod
    def of(cls, scale: str) -> Self:
        """The plan of a scale (cpu, drift, gpu, smoke), or of a TOML file, over that which it `extends`; its arms replace those.

        Raises ConfigError naming file and field.
        """
        path = FOLDER / f"{scale}.toml"
        values = read_settings(path if path.exists() else scale)
        if parent := values.pop("extends", ""):
            over = cls.of(parent).model_dump(exclude_unset=True)
            values = {**merged(over, values), "arms": values.get("arms", over["arms"])}
        return cls.make(**values)


if __name__ == "__main__":
    print(Plan.of(sys.argv[1]).model_dump_json(indent=2))
