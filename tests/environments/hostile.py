"""Environments that break their contract, each in one way, from task "test/1" on: the other tasks are played as usual."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from exprag.contracts.environment import Info
from toy import Toy

Answer = tuple[str, float, bool, bool, Info]


class Hostile(Toy):
    """Misbehaves in the second test task alone."""

    def _is_odd(self) -> bool:
        return self._task is not None and self._task.id == "test/1"

    def step(self, action: str) -> Answer:
        answer = super().step(action)
        return self.spoil(*answer) if self._is_odd() else answer

    def spoil(self, text: str, reward: float, terminated: bool, truncated: bool, info: Info) -> Any:
        return text, reward, terminated, truncated, info


class NanScore(Hostile):
    def spoil(self, text: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> Any:
        return text, reward, terminated, truncated, {**info, "score": float("nan")}


class TextReward(Hostile):
    def spoil(self, text: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> Any:
        return text, "much", terminated, truncated, info


class NoObservation(Hostile):
    def spoil(self, text: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> Any:
        return None, reward, terminated, truncated, info


class ListInfo(Hostile):
    def spoil(self, text: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> Any:
        return text, reward, terminated, truncated, list(info)


class Exits(Hostile):
    def spoil(self, text: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> Any:
        sys.exit(3)


class ExitsAsGenerator(Hostile):
    def spoil(self, text: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> Any:
        raise GeneratorExit


class OtherTask(Hostile):
    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        text, info = super().reset(seed=seed, options=options)
        return text, {**info, "task": self.task("test/0")} if self._is_odd() else info


class NoClose(Hostile):
    def close(self) -> None:
        raise RuntimeError("it cannot be closed")


class NoFingerprint(Hostile):
    def fingerprint(self) -> str:
        raise RuntimeError("it has no fingerprint")
