"""The baseline looks for what it does not see, in rooms without a number too, and where no recalled episode says where it is."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from exprag.bank import Bank
from exprag.contracts.environment import Info, TextEnvironment
from exprag.environments.expert import play
from exprag.graph import build_agent
from exprag.trajectory import Task

ROOMS = ("attic", "cellar", "garage", "kitchen", "porch", "study")
THINGS = ("lamp", "vase", "clock", "rug", "fork", "hat")


class House(TextEnvironment):
    """Bring a thing to a room. Things lie anywhere, and only the hall says which rooms there are."""

    name = "house"
    splits = ("train", "test")
    action_templates = ("walk to {room}", "pick up {thing}", "put down {thing}", "look")

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        for number in range(40):
            rng = random.Random(f"{split}{number}")
            instruction = f"bring the {rng.choice(THINGS)} to the {rng.choice(ROOMS)}"
            yield Task(environment="house", id=f"{split}/{number}", split=split, type="carry", instruction=instruction)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        task = self.task((options or {})["task"])
        rng = random.Random(f"pos{task.id}")
        words = task.instruction.split()
        self.thing, self.goal = words[2], words[5]
        self.lies = {thing: rng.choice([room for room in ROOMS if room != self.goal]) for thing in THINGS}
        self.here, self.hand = "hall", ""
        return f"You are in the hall. Doors lead to: {', '.join(ROOMS)}.", {"score": 0.0, "task": task}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        name = action.split()[-1] if action.split() else ""
        text, over = "Nothing happens.", False
        if action.startswith("walk to ") and name in ROOMS:
            self.here = name
            text = self._look()
        elif action.startswith("pick up ") and not self.hand and self.lies.get(name) == self.here:
            self.hand, self.lies[name] = name, ""
            text = f"You pick up the {name}."
        elif action.startswith("put down ") and self.hand and self.hand == name:
            self.hand, self.lies[name] = "", self.here
            text, over = f"You put down the {name}.", name == self.thing and self.here == self.goal
        elif action == "look":
            text = self._look()
        return text, float(over), over, False, {"score": float(over), "success": over, "valid": text != "Nothing happens."}

    def _look(self) -> str:
        things = ", ".join(thing for thing in THINGS if self.lies[thing] == self.here)
        return f"You are in the {self.here}. There is a window, a carpet, a chair. You see {things or 'nothing here'}."

    def max_steps(self, task: Task) -> int:
        return 20


def by_heart(house: House) -> list[str]:
    return [f"walk to {house.lies[house.thing]}", f"pick up {house.thing}", f"walk to {house.goal}", f"put down {house.thing}"]


def test_what_is_not_seen_is_looked_for_in_every_room(tmp_path: Path) -> None:
    house = House()
    bank = Bank.create(tmp_path / "bank")
    bank.add([play(house, task, lambda: by_heart(house)) for task in house.tasks("train")])
    agent = build_agent(House, "case-based", bank=bank, k=2)
    episodes = [agent.invoke({"task": task.to_dict()})["trajectory"] for task in house.tasks("test")]
    assert sum(episode["success"] for episode in episodes) >= 30  # 11 where only the recalled rooms are gone to
    for episode in episodes:  # what the instruction names is not replaced by another thing
        thing = episode["task"]["instruction"].split()[2]
        actions = [step["action"] for step in episode["steps"]]
        assert {action for action in actions if action.startswith("pick up ")} <= {f"pick up {thing}", "pick up here"}
