"""Episodes and banks for the tests of the bank and of retrieval."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exprag import Step, Task, Trajectory
from exprag.bank import Bank

os.environ.setdefault("EXPRAG_CACHE", "off")  # nothing of the tests' in the user's cache


def make_episode(number: int = 0, instruction: str = "put a clean mug on the desk", **about: Any) -> Trajectory:
    """A small episode; keywords of Task and Trajectory are sorted to where they belong."""
    task = {"environment": "house", "id": f"task-{number}", "split": "train", "type": "put", "instruction": instruction}
    task |= {name: about.pop(name) for name in list(about) if name in Task.model_fields and name != "id"}
    steps = about.pop("steps", (Step(observation=f"You are in room {number}.", action="look"),))
    about = {"success": True, "score": 1.0, "source": "expert", "final_observation": "Done.", **about}
    return Trajectory(task=Task(**task), steps=steps, **about)


class HashingEncoder:
    """Words hashed into a vector: an encoder of somebody's own, without a model."""

    def __init__(self, dimension: int = 64, salt: str = "") -> None:
        self.spec = f"hashing:{dimension}{salt}"
        self.dimension, self.salt = dimension, salt
        self.encoded = 0

    def encode_query(self, text: str) -> np.ndarray:
        vector = np.full(self.dimension, 1e-3, dtype=np.float32)
        for word in text.lower().split():
            vector[zlib.crc32((self.salt + word).encode("utf-8", "replace")) % self.dimension] += 1
        return vector / np.linalg.norm(vector)

    def encode_keys(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded += len(texts)
        return np.stack([self.encode_query(text) for text in texts])


@pytest.fixture
def episode() -> Callable[..., Trajectory]:
    return make_episode


@pytest.fixture
def hashing() -> type[HashingEncoder]:
    return HashingEncoder


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank.create(tmp_path / "bank")
