"""Text environments under Gymnasium's ids: the checker, seeds, limits, vectors, errors."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from exprag.errors import ConfigError, EnvError, PluginError
from exprag.gymnasium import IDS, AnyText, TextGym
from exprag.plugins import registry
from toy import Toy

TOY = {"id": "exprag/Environment-v0", "environment": "toy:Toy"}


def make(**options: Any) -> gymnasium.Env[str, str]:
    return gymnasium.make(**TOY, **options)


def test_every_built_in_environment_has_its_id() -> None:
    assert set(IDS) <= set(gymnasium.registry)
    assert set(IDS.values()) - {""} <= set(registry().names("environment"))
    assert gymnasium.spec("exprag/ALFWorld-v0").kwargs == {"environment": "alfworld"}


@pytest.mark.filterwarnings("error")
def test_the_checker_of_gymnasium_has_no_objection() -> None:
    check_env(make(render_mode="ansi").unwrapped)


def test_a_seed_draws_the_task_and_reaches_the_environment() -> None:
    def start(seed: int) -> tuple[str, str]:
        with make() as env:
            _, info = env.reset(seed=seed)
            return info["task"].id, env.step(f"go to {('desk', 'shelf', 'drawer', 'box')[seed % 4]}")[0]

    assert start(3) == start(3)
    assert len({start(seed)[0] for seed in range(12)}) > 2


def test_resets_without_a_seed_go_on_from_the_last_one() -> None:
    with make() as one, make() as other:
        drawn = []
        for env in (one, other):
            ids = [env.reset(seed=5)[1]["task"].id]
            drawn.append(ids + [env.reset()[1]["task"].id for _ in range(8)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 2


def test_a_task_may_be_named_and_tasks_may_be_chosen() -> None:
    with make(tasks=["test/3"]) as env:
        observation, info = env.reset(seed=0)
        assert (info["task"].id, info["task"].instruction != "") == ("test/3", True)
        assert env.observation_space.contains(observation)
        assert env.reset(options={"task": "train/1"})[1]["task"].id == "train/1"
        with pytest.raises(EnvError, match="no task 'nowhere'"):
            env.reset(options={"task": "nowhere"})
    with make(split="test", types=["carry"]) as env:
        task = env.reset(seed=1)[1]["task"]
        assert (task.split, task.type) == ("test", "carry")


def test_an_episode_is_truncated_at_the_limit_and_ends_where_the_task_is_solved() -> None:
    with make(tasks=["train/0"], max_steps=2) as env:
        env.reset(seed=0)
        assert env.step("look")[2:4] == (False, False)
        assert env.step("look")[2:4] == (False, True)
    inner = Toy()
    with TextGym(inner, tasks=["train/0"]) as env:
        env.reset(seed=0)
        steps = [env.step(action) for action in inner.expert()]
    assert [step[2:4] for step in steps[:-1]] == [(False, False)] * (len(steps) - 1)
    assert steps[-1][2:4] == (True, False)
    assert steps[-1][4]["success"] is True


def test_admissible_actions_are_given_where_they_are_asked_for() -> None:
    class Telling(Toy):
        def admissible_actions(self) -> list[str]:
            return ["look"]

    for env, actions in ((TextGym(Telling(), admissible_actions=True), ["look"]), (TextGym(Telling()), None)):
        infos = env.reset(seed=0)[1], env.step("look")[4]
        assert [info.get("admissible_actions") for info in infos] == [actions, actions]


@pytest.mark.parametrize(
    ("mode", "kwargs"), [("sync", None), ("async", {"shared_memory": False, "context": "spawn"})], ids=["sync", "async"]
)
def test_vectors_play_side_by_side(mode: str, kwargs: dict[str, Any] | None) -> None:
    vector = gymnasium.make_vec(**TOY, num_envs=2, vectorization_mode=mode, vector_kwargs=kwargs, max_steps=2)
    try:
        observations, infos = vector.reset(seed=[3, 8])
        alone = make()
        assert [task.id for task in infos["task"]] == [alone.reset(seed=seed)[1]["task"].id for seed in (3, 8)]
        assert len(observations) == 2
        observations, rewards, terminated, truncated, _ = vector.step(("go to desk", "look"))
        assert observations[0].startswith("At the desk")
        assert observations[1].startswith("At the door")
        assert (rewards.tolist(), terminated.tolist(), truncated.tolist()) == ([0.0, 0.0], [False, False], [False, False])
        assert vector.step(("look", "look"))[3].tolist() == [True, True]
        assert vector.step(("look", "look"))[0] == observations_at_start(vector)  # Gymnasium resets in the step after an end
    finally:
        vector.close()


def observations_at_start(vector: Any) -> tuple[str, ...]:
    text = Toy().reset(options={"task": "train/0"})[0]  # the toy's first text is the same in each task
    return (text,) * int(vector.num_envs)


def test_what_breaks_is_said() -> None:
    with pytest.raises(ConfigError, match="No environment is named"):
        gymnasium.make("exprag/Environment-v0")
    with pytest.raises(PluginError, match="no-such"):
        gymnasium.make("exprag/Environment-v0", environment="no-such")
    with make(options={"die_at": 0}) as env:
        env.reset(seed=0)
        with pytest.raises(EnvError, match="The toy died"):
            env.step("look")
    with make(types=["no-such-type"]) as env, pytest.raises(ConfigError, match="no task in split 'train'"):
        env.reset(seed=0)


def test_the_space_takes_any_text() -> None:
    space = AnyText(("look", "wait"))
    space.seed(0)
    assert space.sample() in ("look", "wait")
    assert space.contains("тест 🙂")
    assert not space.contains(3)
    assert space == AnyText(("look", "wait"))
    assert space != AnyText()
