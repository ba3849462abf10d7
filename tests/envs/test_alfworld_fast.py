"""The fast ALFWorld engine: the same text as the package's, step for step, and sane on its own."""

from __future__ import annotations

import json
import lzma
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from counting import count_calls
from hypothesis import given, settings
from hypothesis import strategies as st

from exprag.errors import EnvError
from exprag_envs.alfworld import games
from exprag_envs.alfworld.engine import NOTHING_HAPPENS, GameState
from exprag_envs.alfworld.fast import FastEngine
from exprag_envs.alfworld.fast.text import task_line
from exprag_envs.alfworld.generate import generate

Game = dict[str, Any]


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with lzma.open(path, "rt") as lines:
        yield from map(json.loads, lines)


def started(game: Game) -> FastEngine:
    engine = FastEngine()
    engine.load(game, str(game.get("id")))
    engine.reset()
    return engine


def goal_of(game: Game) -> dict[str, Any]:
    return {"task_type": game["task_type"], **game["pddl_params"]}


def random_walk(engine: FastEngine, rng: random.Random, steps: int) -> Iterator[str]:
    """Commands for the state that the engine is in: most admissible, some near misses, some nonsense."""
    state = engine._playing()
    names, receptacles = list(state.world.id), [state.world.name[place] for place in state.world.place]
    for _ in range(steps):
        admissible = engine.admissible()
        doing = [command for command in admissible if not command.startswith(("go to", "examine"))]
        one, other = rng.choice(names), rng.choice(receptacles)
        odd = [
            rng.choice(admissible).upper(),
            f"  {rng.choice(admissible)}\t\n",
            rng.choice(admissible).replace(" ", "  ", 1),
            rng.choice(["", " ", "xyzzy", "go to", "take  from ", "inventory now", "put mug 1 in/on desk 1", "go to the desk 1"]),
            f"go to {one}",
            f"open {other}",
            f"take {one} from {other}",
            f"move {one} to {other}",
            f"{rng.choice(['heat', 'cool', 'clean'])} {one} with {other}",
            f"slice {one} with {rng.choice(names)}",
            f"{rng.choice(['close', 'use', 'examine'])} {one}",
        ]
        yield rng.choice(doing) if rng.random() < 0.45 else rng.choice(admissible) if rng.random() < 0.5 else rng.choice(odd)


@pytest.fixture(scope="module")
def valid_unseen(shared: Path) -> dict[str, Game]:
    return {row["id"]: {**row, "task": f"{row['task']}."} for row in rows(shared / "alfworld" / "games_valid_unseen.jsonl.xz")}


# What was recorded with the package -------------------------------------------------------------------------------------


def test_every_recorded_run_is_replayed(shared: Path, valid_unseen: dict[str, Game]) -> None:
    steps = 0
    for run in rows(shared / "trajectories" / "expert_handcoded_eval_valid_unseen.jsonl.xz"):
        engine = started(valid_unseen[run["id"]])
        state = engine.reset()
        assert state.feedback == run["obs0"]
        for action, observation in run["steps"]:
            state = engine.step(action)
            steps += 1
            # The recording dropped the newline after the help text.
            assert state.feedback.rstrip("\n") == observation, (run["id"], action)
        assert state.won == run["won"], run["id"]
    assert steps > 3000


def test_every_walkthrough_wins(valid_unseen: dict[str, Game]) -> None:
    for key, game in valid_unseen.items():
        engine = started(game)
        states = [engine.step(action) for action in game["walkthrough"]]
        assert [state.won for state in states] == [False] * (len(states) - 1) + [True], key
        assert all(state.understood for state in states), key
    assert len(valid_unseen) == 134


def test_handcoded_expert_wins_as_often_as_the_packages(valid_unseen: dict[str, Game]) -> None:
    won: Counter[str] = Counter()
    for game in valid_unseen.values():
        engine = started(game)
        for action in engine.expert(goal_of(game), seed=0):
            state = engine.step(action)
        won[game["task_type"]] += state.won
    # Recorded: 123, all but one of the losses on two objects; random choices move that by a few games.
    assert 119 <= won.total() <= 130
    assert won.total() - won["pick_two_obj_and_place"] >= 115


def test_expert_that_heeds_moves_wins_all(valid_unseen: dict[str, Game]) -> None:
    for key, game in valid_unseen.items():
        engine = started(game)
        assert any(engine.step(action).won for action in engine.expert(goal_of(game), seed=1, heeds_moves=True)), key


@pytest.mark.slow
def test_every_train_walkthrough_wins(shared: Path) -> None:
    count = 0
    for row in rows(shared / "alfworld" / "games_train.jsonl.xz"):
        engine = started({**row, "task": row["task"]})
        assert [engine.step(action).won for action in row["walkthrough"]][-1], row["id"]
        count += 1
    assert count == 3553


# Side by side with the package ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.alfworld
def test_same_as_the_package(alfworld_data: Path, alfworld_cache: Path) -> None:
    """Observations, admissible actions in order, won, and the expert's actions, on one game of every type and split."""
    pytest.importorskip("alfworld")
    from exprag_envs.alfworld.reference import ReferenceEngine

    reference, fast = ReferenceEngine(cache_dir=alfworld_cache), FastEngine()
    compared: Counter[str] = Counter()

    def same(theirs: GameState, mine: GameState, at: object) -> None:
        assert (theirs.feedback, theirs.won) == (mine.feedback, mine.won), at
        assert reference.admissible() == fast.admissible(), at
        compared["understood" if mine.understood else "not"] += 1

    every = games.expand_types(None)
    tasks = [task for split in ("valid_seen", "valid_unseen") for task in games.list_tasks(alfworld_data, split, every)]
    assert {task.type for task in tasks} == set(games.TASK_TYPES)
    for task in tasks[:12]:
        game, trial = games.read_game(alfworld_data, task)
        for engine in (reference, fast):
            engine.load(game, task.id)
        rng = random.Random(task.id)

        same(reference.reset(), fast.reset(), task.id)
        for command in [*game["walkthrough"], "look", "inventory", "help", *random_walk(fast, rng, 30)]:
            same(reference.step(command), fast.step(command), (task.id, command))

        reference.reset(), fast.reset()
        goal = {"task_type": trial["task_type"], **trial["pddl_params"]}
        # Beyond 30 steps only games with two objects go on, by luck, and there the package's choice hangs on hash order.
        for _, theirs, mine in zip(range(30), reference.expert(goal, 3), fast.expert(goal, 3), strict=False):
            assert theirs == mine, task.id
            same(reference.step(theirs), fast.step(mine), (task.id, mine))
    assert compared["understood"] > 400
    assert compared["not"] > 40
    reference.close()


# On its own, with generated games ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["pick_clean_then_place_in_recep", "look_at_obj_in_light", "pick_two_obj_and_place"])
def game(request: pytest.FixtureRequest) -> Game:
    return generate(5, request.param)


def test_admissible_is_exactly_what_is_understood(game: Game) -> None:
    for command in random_walk(engine := started(game), random.Random(0), 150):
        admissible = engine.admissible()
        assert admissible == sorted(set(admissible))
        assert engine.step(command).understood == (command.strip() in admissible), command


def test_every_admissible_command_can_be_played(game: Game) -> None:
    engine, played = started(game), []
    rng = random.Random(1)
    for _ in range(12):
        for command in engine.admissible():
            copy = started(game)
            for before in played:
                copy.step(before)
            assert copy.step(command).understood, (played, command)
        played.append(rng.choice(engine.admissible()))
        engine.step(played[-1])


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_is_a_legal_command(command: str) -> None:
    engine = started(_ANY)
    before = engine.admissible()
    state = engine.step(command)
    if command.strip() not in before:
        assert state == GameState(NOTHING_HAPPENS, won=False)
        assert engine.admissible() == before


_ANY = generate(1, "pick_and_place_simple")


def test_reset_starts_the_same_game_again(game: Game) -> None:
    engine = started(game)
    first = [engine.reset(), *map(engine.step, game["walkthrough"])]
    assert [engine.reset(), *map(engine.step, game["walkthrough"])] == first
    assert first[-1].won


def test_a_win_can_be_undone_and_won_again() -> None:
    engine = started(_ANY)
    *_, move = _ANY["walkthrough"]
    for command in _ANY["walkthrough"]:
        state = engine.step(command)
    assert state.won
    thing, place = move.removeprefix("move ").split(" to ")
    assert not engine.step(f"take {thing} from {place}").won
    assert engine.step("look").feedback.startswith(f"You are facing the {place}.")
    assert engine.step(move).won


def test_what_is_moved_between_neighbours_is_seen_beside_them() -> None:
    """Where receptacles share a place, "look" tells of what an action took out of one of them (as the package does)."""
    world = started(_ANY)._playing().world
    start = sorted((t, r) for t, r in world.start["inreceptacle"] if world.fact("pickupable", t) and not world.openable(r))
    plain = [receptacle for receptacle in world.place if not world.openable(receptacle)]
    thing, first, second = next((t, r, o) for t, r in start for o in plain if o != r and world.can_contain(o, t))
    at = "(receptacleatlocation {} {})"
    old, new = at.format(second, world.place[second]), at.format(second, world.place[first])
    engine = started(_with(pddl_problem=_ANY["pddl_problem"].lower().replace(old, new)))
    name = engine._playing().world.name
    both = " and ".join(f"{name[receptacle]}," for receptacle in sorted((first, second))).rstrip(",")
    for command, seen in (
        (f"go to {name[first]}", "nothing"),
        (f"go to {name[second]}", None),
        (f"take {name[thing]} from {name[first]}", "nothing"),
        (f"move {name[thing]} to {name[second]}", f"a {name[thing]}"),
        (f"take {name[thing]} from {name[second]}", "nothing"),
    ):
        assert engine.step(command).understood == (seen is not None), command
        if seen:
            assert engine.step("look").feedback == f"You are facing the {both}. Next to it, you see {seen}."


def test_equal_seeds_give_equal_experts(game: Game) -> None:
    def run(seed: int) -> list[str]:
        engine, actions = started(game), []
        for action in engine.expert(goal_of(game), seed):
            actions.append(action)
            engine.step(action)
        return actions

    assert run(4) == run(4)


def test_expert_goes_on_after_foreign_actions(game: Game) -> None:
    engine = started(game)
    expert = engine.expert(goal_of(game), 0, heeds_moves=True)
    assert next(expert) == "look"
    for command in ("inventory", "xyzzy", "", "go to nowhere 1"):
        engine.step(command)
        assert next(expert)
    for _ in range(60):
        if engine.step(next(expert, "look")).won:
            break
    assert next(expert, None) is None


def test_threads_do_not_meet() -> None:
    """Eight games in eight threads, step by step: each as if alone."""
    several = [generate(seed, task_type) for seed in (0, 1) for task_type in games.TASK_TYPES[:4]]

    def play(game: Game) -> list[object]:
        engine, seen = started(game), []
        for action in engine.expert(goal_of(game), 0):
            seen += [engine.step(action), engine.admissible()]
            time.sleep(0)
        return seen

    alone = [play(game) for game in several]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(play, several)) == alone


def test_a_step_costs_a_few_hundred_calls_however_long_the_game(valid_unseen: dict[str, Game]) -> None:
    """No planner and no grammar runs in a step, and nothing is copied that grows. Calls are the same on every machine."""
    for game in list(valid_unseen.values())[:40]:
        engine = FastEngine()
        assert count_calls(engine.load, game, game["id"]) < 100_000
        assert count_calls(engine.reset) < 2_000
        first_look = count_calls(engine.step, "look")
        assert max(count_calls(engine.step, action) for action in game["walkthrough"][:-1]) < 2_000
        engine.reset()
        for _ in range(200):
            engine.step("look")
        assert count_calls(engine.step, "look") <= first_look


# Bad games --------------------------------------------------------------------------------------------------------------


def _with(**changes: Any) -> Game:
    return {**{key: value for key, value in _ANY.items() if key != "grammar"}, **changes}


def _problem(old: str, new: str) -> Game:
    assert old in _ANY["pddl_problem"]
    return _with(pddl_problem=_ANY["pddl_problem"].replace(old, new, 1))


_GOAL = _ANY["pddl_problem"].split("(:goal", 1)[1]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (_with(pddl_problem=None), "pddl_problem is missing"),
        (_with(pddl_problem="  "), "pddl_problem is missing"),
        (_with(pddl_problem="hello"), "not one bracketed expression"),
        (_with(pddl_problem="(problem)"), "does not begin with '(define"),
        (_with(pddl_problem=_ANY["pddl_problem"][:-9]), "ends too early"),
        (_with(pddl_problem=_ANY["pddl_problem"] + ")"), "a ')' too many"),
        (_problem("(:init", "(:start"), "has no :init part"),
        (_problem("(:goal", "(:aim"), "has no :goal part"),
        (_problem("(:domain alfred)", "(:domain blocks)"), "'blocks'"),
        (_problem("agent1 - agent", "agent1 -"), "a '-' without a name before it"),
        (_problem("agent1 - agent", "(agent1) - agent"), "bracket"),
        (_problem("(atLocation agent1", "(sitsAt agent1"), "sitsat"),
        (_problem("(atLocation agent1", "(atLocation agent2"), "'agent2', which :objects does not declare"),
        (_problem("(atLocation agent1", "(= agent1"), "0 agents"),
        (_problem(_GOAL, " (forall (?r - receptacle) (opened ?r))))"), "its goal uses 'forall'"),
        (_problem(_GOAL, " (exists (?r - receptacle) (opened (?r)))))"), "its goal uses 'opened'"),
        (_problem(_GOAL, " (not (opened x))))"), "its goal uses 'not opened'"),
        (_with(task=None), "grammar is missing"),
        (_with(grammar="nothing"), "PutObject"),
        (_with(grammar='action PutObject { template :: "put {o} in/on {r}";'), "'put {o} in/on {r}'"),
        (_with(grammar='action PutObject { template :: "move {o} to {r}";'), 'no "task" rule'),
        (["a", "list"], "not a JSON object"),
    ],
)
def test_bad_game_says_what_is_wrong(bad: Any, says: str) -> None:
    with pytest.raises(EnvError) as caught:
        FastEngine().load(bad, "some/game")
    assert says in str(caught.value)
    assert "some/game" in str(caught.value)
    assert caught.value.cure


def test_a_receptacle_at_two_places_is_refused() -> None:
    start = _ANY["pddl_problem"].split("(atLocation agent1 ", 1)[1].split(")", 1)[0]
    receptacle = _ANY["pddl_problem"].split("(receptacleAtLocation ", 1)[1].split(" ", 1)[0]
    bad = _problem("(:init", f"(:init (receptacleAtLocation {receptacle} {start})")
    with pytest.raises(EnvError, match="at two locations"):
        FastEngine().load(bad, "some/game")


def test_comments_and_layout_do_not_matter() -> None:
    other = _with(pddl_problem="; a game\n" + _ANY["pddl_problem"].upper().replace("\n", "  \r\n"))
    assert started(other).reset().feedback == started(_ANY).reset().feedback
    assert started(other).admissible() == started(_ANY).admissible()


def test_not_started_is_told() -> None:
    engine = FastEngine()
    for act in (engine.reset, engine.admissible, lambda: engine.step("look")):
        with pytest.raises(EnvError, match=r"No game"):
            act()
    engine.load(_ANY, "some/game")
    engine.close()
    engine.close()
    with pytest.raises(EnvError, match="No game is loaded"):
        engine.reset()


@pytest.mark.parametrize("goal", [{}, {"task_type": "juggle"}, {"task_type": "look_at_obj_in_light", "object_target": "Mug"}])
def test_expert_refuses_what_it_has_no_policy_for(goal: dict[str, Any]) -> None:
    with pytest.raises(EnvError, match="expert"):
        next(started(_ANY).expert(goal, 0))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("put a mug in desk.", "put a mug in desk."),
        ("look; then go", "look"),  # the package's grammar stops at its own marks, and drops quotes
        (r"see \"this\" mug", "see this mug"),
        (r"two\nlines", "two\nlines"),
    ],
)
def test_task_is_read_as_the_package_reads_it(written: str, read: str) -> None:
    grammar = f'"task": [ {{ "rhs": "Your task is to: {written}" }} ] action PutObject {{ template :: "move {{o}} to {{r}}";'
    assert task_line({"grammar": grammar}) == f"Your task is to: {read}"
