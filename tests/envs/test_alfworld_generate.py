"""Generated ALFWorld games: seeded, solvable, plausible, the same in both engines; and the environment that plays them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from exprag.errors import ConfigError, EnvError
from exprag.trajectory import Task
from exprag_envs.alfworld import generate as generator
from exprag_envs.alfworld import generate_tables, generated
from exprag_envs.alfworld.fast import FastEngine
from exprag_envs.alfworld.fast.problem import read_problem
from exprag_envs.alfworld.games import TASK_TYPES, is_known_grammar
from exprag_envs.alfworld.generate import EXPERT_STEPS, generate, goal_of
from exprag_envs.alfworld.generated import AlfWorldGenerated

TABLES = generate_tables.tables()


def won_by(game: generator.Game, expert: str, seed: int = 0) -> bool:
    engine = FastEngine()
    engine.load(game, game["id"])
    assert not engine.reset().won
    goal = {"task_type": game["task_type"], **game["pddl_params"]}
    actions = iter(game["walkthrough"]) if expert == "walkthrough" else engine.expert(goal, seed, heeds_moves=True)
    return any(engine.step(action).won for action in islice(actions, EXPERT_STEPS))


@pytest.mark.parametrize("task_type", TASK_TYPES)
@pytest.mark.parametrize("count", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_games_of_every_type_are_won(task_type: str, count: int) -> None:
    games = [generate(seed, task_type) for seed in range(1000, 1000 + count)]
    for game in games:
        assert game["task_type"] == task_type
        assert won_by(game, "walkthrough")
        assert won_by(game, "explorer")
        engine = FastEngine()
        engine.load(game, game["id"])
        engine.reset()
        won = [engine.step(action).won for action in game["walkthrough"]]
        assert won == [False] * (len(won) - 1) + [True]  # no step of the walkthrough is idle at its end
    assert len({game["id"] for game in games}) == len({game["pddl_problem"] for game in games}) == count


def test_equal_seeds_give_equal_bytes_in_any_process() -> None:
    code = (
        "import json; from exprag_envs.alfworld.generate import generate, TASK_TYPES; "
        "print(json.dumps([generate(7, t) for t in TASK_TYPES] + [generate(7)]))"
    )
    told = [
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True)
        for seed in ("1", "2")
    ]
    assert told[0].stdout == told[1].stdout
    here = [generate(7, task_type) for task_type in generator.TASK_TYPES] + [generate(7)]
    assert json.loads(told[0].stdout) == here


def test_without_a_type_all_types_come() -> None:
    assert {goal_of(seed).task_type for seed in range(60)} == set(TASK_TYPES)
    assert generate(3)["task_type"] == goal_of(3).task_type


def test_every_known_goal_can_be_made() -> None:
    """Each of the rarest goals of the real games gets its room (goals are drawn by frequency, so seeds alone rarely do)."""
    rare = sorted((number, kind, *goal) for kind, goals in TABLES["goals"].items() for *goal, number in goals)[::12]
    for _, kind, room, target, parent in rare:
        goal = generator.Goal(kind, room, target, parent)
        draws = (generator._draw(generator.Random(f"{goal} {attempt}"), 0, goal) for attempt in range(generator._ATTEMPTS))
        assert any(game is not None and generator._is_won(game) for game in draws), goal


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_rooms_hold_only_what_real_rooms_hold(task_type: str) -> None:
    for seed in range(20, 30):
        game, goal = generate(seed, task_type), goal_of(seed, task_type)
        facts = read_problem(game["pddl_problem"]).facts
        kind = {entity: name.removesuffix("type") for entity, name in facts["receptacletype"] | facts["objecttype"]}
        lower = {name.lower(): {holder.lower() for holder in by} for name, by in TABLES["holders"][goal.room].items()}
        places = {place.lower(): numbers for place, numbers in TABLES["receptacles"][goal.room].items()}
        for thing, receptacle in facts["inreceptacle"]:
            assert kind[receptacle] in lower[kind[thing]], (thing, receptacle)
        for name, number in Counter(kind[receptacle] for receptacle, _ in facts["receptacletype"]).items():
            assert str(number) in places[name]
        assert len({location for _, location in facts["receptacleatlocation"]}) == len(facts["receptacleatlocation"])
        assert len(facts["inreceptacle"]) == len({thing for thing, _ in facts["inreceptacle"]})
        if goal.task_type != "look_at_obj_in_light":
            assert goal.target in TABLES["can_contain"][goal.parent]


def test_goals_come_as_often_as_in_real_games() -> None:
    drawn = Counter(goal_of(seed, "look_at_obj_in_light").target for seed in range(1500))
    real: Counter[str] = Counter()
    for _, target, _, number in TABLES["goals"]["look_at_obj_in_light"]:
        real[target] += number
    for target, number in real.most_common(6):
        assert abs(drawn[target] / 1500 - number / real.total()) < 0.05


def test_unknown_type_is_told() -> None:
    with pytest.raises(ConfigError, match="pick_heat"):
        generate(0, "pick_heat")


def test_works_without_the_alfworld_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with_package = generate(2, "pick_heat_then_place_in_recep")
    monkeypatch.setattr(generator, "_package_files", lambda: ("", ""))
    game = generate(2, "pick_heat_then_place_in_recep")
    assert "grammar" not in game
    assert game == {key: value for key, value in with_package.items() if key not in ("grammar", "pddl_domain")}
    env = AlfWorldGenerated()
    text, info = env.reset(options={"task": "test/pick_heat_then_place_in_recep/0001"})
    assert text.endswith(f"Your task is to: {info['task'].instruction}")
    with pytest.raises(EnvError, match="logic files"):
        AlfWorldGenerated(engine="alfworld").reset(options={"task": "test/pick_heat_then_place_in_recep/0001"})


@pytest.mark.slow
@pytest.mark.alfworld
@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_same_text_in_the_package(task_type: str, alfworld_cache: Path) -> None:
    pytest.importorskip("alfworld")
    from exprag_envs.alfworld.reference import ReferenceEngine

    game = generate(11, task_type)
    assert is_known_grammar(game["grammar"])
    reference, fast = ReferenceEngine(cache_dir=alfworld_cache), FastEngine()
    for engine in (reference, fast):
        engine.load(game, game["id"])
    assert reference.reset() == fast.reset()
    assert reference.admissible() == fast.admissible()
    for command in ("look", *game["walkthrough"], "look", "inventory"):
        theirs = reference.step(command)
        assert theirs == fast.step(command), command
        assert reference.admissible() == fast.admissible(), command
    assert theirs.won
    reference.close()


@pytest.mark.slow
def test_tables_are_what_the_train_games_hold(alfworld_full: Path) -> None:
    assert generate_tables.count(alfworld_full) == TABLES


# The environment --------------------------------------------------------------------------------------------------------


@pytest.fixture
def env() -> AlfWorldGenerated:
    return AlfWorldGenerated(games_per_type=5)


def test_tasks_are_listed_without_making_a_game(env: AlfWorldGenerated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "generate", lambda *_: pytest.fail("a game was made"))
    train, test = list(env.tasks("train")), list(env.tasks("test"))
    assert len(train) == len(test) == 30
    assert Counter(task.type for task in train) == dict.fromkeys(TASK_TYPES, 5)
    assert train[0].id == "train/pick_and_place_simple/0000"
    assert not {task.metadata["seed"] for task in train} & {task.metadata["seed"] for task in test}
    assert len({task.group for task in train + test}) == 60
    assert {task.type for task in env.tasks("test", ["hard", "look_at_obj_in_light"])} == {*TASK_TYPES[3:], TASK_TYPES[1]}


def test_task_says_what_the_game_asks(env: AlfWorldGenerated) -> None:
    for task in [*env.tasks("train"), *env.tasks("test", ["easy"])]:
        _, info = env.reset(options={"task": task})
        played = info["task"]
        assert str(task.metadata["object"]).lower() in played.instruction
        assert str(task.metadata["receptacle"]).lower() in played.instruction
        assert played.model_copy(update={"instruction": ""}) == task


@pytest.mark.parametrize("expert", [None, "explorer", "searcher", "walkthrough"])
def test_experts_win(env: AlfWorldGenerated, expert: str | None) -> None:
    for task in env.tasks("test"):
        env.reset(options={"task": task})
        ended = [env.step(action)[2:] for action in env.expert(expert)][-1]
        assert ended[0], task.id
        assert ended[2] == {"score": 1.0, "success": True, "valid": True}


def test_handcoded_expert_plays_it_too(env: AlfWorldGenerated) -> None:
    won = 0
    for task in env.tasks("train", ["easy"]):
        env.reset(options={"task": task})
        won += any(env.step(action)[2] for action in env.expert("handcoded"))
    assert won >= 14


def test_ids_beyond_the_list_can_be_played(env: AlfWorldGenerated) -> None:
    _, info = env.reset(options={"task": "train/pick_two_obj_and_place/4321"})
    assert info["task"].metadata["seed"] == 4321
    _, info = env.reset(options={"task": {"environment": env.name, "id": "test/look_at_obj_in_light/0002"}})
    assert info["task"].metadata["seed"] == 1_000_002


@pytest.mark.parametrize("wrong", ["train/pick_and_place_simple/7", "valid/pick_and_place_simple/0007", "train/juggle/0007", ""])
def test_unknown_ids_are_told(env: AlfWorldGenerated, wrong: str) -> None:
    with pytest.raises(EnvError, match="no task"):
        env.reset(options={"task": wrong})


def test_a_task_whose_metadata_was_lost_is_the_same(env: AlfWorldGenerated) -> None:
    task = next(env.tasks("train"))
    bare = Task(environment=env.name, id=task.id)
    assert env.reset(options={"task": bare})[0] == env.reset(options={"task": task})[0]


def test_wrong_options_are_told() -> None:
    with pytest.raises(ConfigError, match="games_per_type"):
        AlfWorldGenerated(games_per_type=0)
    with pytest.raises(ConfigError, match="engine"):
        AlfWorldGenerated(engine="slow")
    with pytest.raises(ConfigError, match="split"):
        AlfWorldGenerated().tasks("valid_unseen")
