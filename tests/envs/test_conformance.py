"""Every built-in environment passes the kit that third parties run on theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exprag.contracts.environment import TextEnvironment
from exprag.plugins import create
from exprag.testing import EnvironmentConformance


@pytest.fixture(scope="module")
def textworld_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("textworld")


class BuiltIn(EnvironmentConformance):
    """A built-in by name and options."""

    environment = ""
    options: dict[str, Any] = {}

    def make(self) -> TextEnvironment:
        made: TextEnvironment = create("environment", self.environment, **self.options)
        return made


@pytest.mark.slow
@pytest.mark.scienceworld
class TestScienceWorld(BuiltIn):
    environment = "scienceworld"
    tasks = 1


class TestAlfWorldFast(BuiltIn):
    environment = "alfworld"

    @pytest.fixture(autouse=True)
    def _games(self, alfworld_data: Path) -> None:
        self.options = {"data": str(alfworld_data)}


@pytest.mark.slow
@pytest.mark.alfworld
class TestAlfWorldReference(BuiltIn):
    environment = "alfworld"
    tasks = 1

    @pytest.fixture(autouse=True)
    def _games(self, alfworld_data: Path, alfworld_cache: Path) -> None:
        self.options = {"data": str(alfworld_data), "engine": "alfworld", "cache_dir": str(alfworld_cache)}


class TestAlfWorldGenerated(BuiltIn):
    environment = "alfworld-generated"


class TestWebShop(BuiltIn):
    environment = "webshop"
    tasks = 5  # the oracle does not win every goal

    @pytest.fixture(autouse=True)
    def _products(self, shared: Path) -> None:
        self.options = {"data": str(shared / "webshop")}


@pytest.mark.slow
class TestTextWorld(BuiltIn):
    environment = "textworld"
    options = {"games": 2}
    tasks = 1

    @pytest.fixture(autouse=True)
    def _cache(self, textworld_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(textworld_cache))


class TestDrift(BuiltIn):
    environment = "drift"
    options = {"environment": "toy:Toy", "seed": 11}


class TestGymnasium(BuiltIn):
    environment = "gymnasium"
    options = {"id": "FrozenLake-v1"}


class TestThereAndBack(BuiltIn):
    """Our own environment as Gymnasium's, and that as ours."""

    environment = "gymnasium"
    options = {
        "id": "exprag/ALFWorldGenerated-v0",
        "setup": "exprag.gymnasium:register_ids",
        "kwargs": {"admissible_actions": True},
        "success": "success",
    }
    tasks = 1


class TestBabyAI(BuiltIn):
    environment = "babyai"


class TestTextArena(BuiltIn):
    environment = "textarena"
    options = {"id": ["GuessTheNumber-v0", "TowerOfHanoi-v0"]}


@pytest.mark.slow
class TestTextWorldExpress(BuiltIn):
    environment = "textworld-express"
    options = {"id": "cookingworld"}
    tasks = 1
