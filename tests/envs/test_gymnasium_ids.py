"""The built-in environments by their Gymnasium ids, on real tasks."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

import exprag.gymnasium as _ids  # registers the ids
from exprag.gymnasium import TextGym


@pytest.mark.parametrize("id", ["exprag/ALFWorld-v0", "exprag/Drift-v0"])
def test_alfworld_is_won_by_its_expert(id: str, alfworld_data: Path) -> None:
    options = {"data": str(alfworld_data)}
    inner = {"options": options} if id == "exprag/ALFWorld-v0" else {"options": {"environment": "alfworld", "options": options}}
    with gymnasium.make(id, **inner, admissible_actions=True) as env:
        gym = env.unwrapped
        assert isinstance(gym, TextGym)
        check_env(gym, skip_render_check=True)
        observation, info = env.reset(seed=4)
        assert info["task"].instruction in observation or info["task"].instruction
        assert info["admissible_actions"]
        for action in gym.environment.expert():
            _, reward, terminated, _, info = env.step(action)
        assert (terminated, info["success"], reward > 0) == (True, True, True)


def test_webshop_starts_a_goal(shared: Path) -> None:
    assert "exprag/WebShop-v0" in _ids.IDS
    with gymnasium.make("exprag/WebShop-v0", options={"data": str(shared / "webshop")}) as env:
        observation, info = env.reset(seed=1)
        assert info["task"].environment == "webshop"
        assert observation != env.step("search[red shoes]")[0]
