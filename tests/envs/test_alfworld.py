"""ALFWorld behind the environment contract: both engines, listing, experts, bad input, the older wording."""

from __future__ import annotations

import json
import lzma
import random
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from exprag.contracts.environment import make_fingerprint
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, EnvError, RecordError
from exprag.plugins import create, registry
from exprag.trajectory import Step, Task, Trajectory
from exprag_envs.alfworld import games, wording
from exprag_envs.alfworld.environment import AlfWorld

pytestmark = pytest.mark.alfworld

needs_package = pytest.mark.skipif(find_spec("alfworld") is None, reason="needs: pip install 'exprag[alfworld]'")
ENGINES = ["fast", pytest.param("alfworld", marks=needs_package)]


@pytest.fixture(params=ENGINES)
def env(request: pytest.FixtureRequest, alfworld_data: Path, alfworld_cache: Path) -> AlfWorld:
    with AlfWorld(engine=request.param, data=alfworld_data, cache_dir=alfworld_cache) as made:
        yield made


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, alfworld_cache: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(alfworld_cache))


def copy_game(source: Path, task: Task, root: Path) -> Path:
    """One game in a root of its own, to be spoilt; returns its folder."""
    folder = root / games.FOLDER / task.id
    shutil.copytree(source / games.FOLDER / task.id, folder)
    return folder


def play(env: AlfWorld, task: Task, actions: list[str], seed: int = 0) -> list[Any]:
    told = [env.reset(seed=seed, options={"task": task})[0]]
    return told + [env.step(action)[:3] for action in actions]


# Listing


def test_tasks_come_from_folder_names(alfworld_data: Path) -> None:
    tasks = list(AlfWorld(data=alfworld_data).tasks("valid_unseen"))
    assert [task.id for task in tasks] == sorted(task.id for task in tasks)
    for task in tasks:
        trial = json.loads((alfworld_data / games.FOLDER / task.id / games.TRAJ_FILE).read_text())
        params = trial["pddl_params"]
        assert task.type == trial["task_type"]
        assert task.metadata["object"] == params["object_target"]
        assert task.metadata.get("receptacle", "") == params["parent_target"]
        assert task.metadata.get("toggle", "") == (params["toggle_target"] if task.type == "look_at_obj_in_light" else "")
        assert task.group == task.id.split("/")[1]
        assert task.group.endswith(f"-{task.metadata['scene']}")


def test_types_select_and_difficulty_is_the_papers(alfworld_data: Path) -> None:
    env = AlfWorld(data=alfworld_data)
    easy, hard = ({t.type for t in env.tasks("valid_unseen", [name])} for name in ("easy", "hard"))
    assert easy == {"pick_and_place_simple", "look_at_obj_in_light", "pick_clean_then_place_in_recep"}
    assert hard == {"pick_heat_then_place_in_recep", "pick_cool_then_place_in_recep", "pick_two_obj_and_place"}
    with pytest.raises(ConfigError, match="pick_heat"):
        env.tasks("train", ["pick_heat"])
    with pytest.raises(ConfigError, match=r"test.*train"):
        env.tasks("test")


@pytest.mark.slow
def test_split_sizes_are_the_papers(alfworld_full: Path) -> None:
    env = AlfWorld(data=alfworld_full)
    halves = [(split, half) for split in ("train", "valid_unseen") for half in ("easy", "hard")]
    sizes = {(split, half): len(list(env.tasks(split, [half]))) for split, half in halves}
    assert sizes == {("train", "easy"): 1748, ("train", "hard"): 1805, ("valid_unseen", "easy"): 73, ("valid_unseen", "hard"): 61}


def test_what_the_package_leaves_out_is_left_out(tmp_path: Path) -> None:
    good = "pick_and_place_simple-Mug-None-Desk-301/trial_T1"
    for name, content in {
        good: {"solvable": True, "walkthrough": ["look"]},
        "pick_and_place_simple-Mug-None-Desk-301/trial_T2": {"solvable": False},
        "pick_and_place_simple-Mug-None-Desk-301/trial_T3": {"walkthrough": []},
        "pick_and_place_simple-AppleSliced-None-Desk-301/trial_T4": {"solvable": True},
        "pick_and_place_with_movable_recep-Mug-Bowl-Desk-301/trial_T5": {"solvable": True},
        "pick_and_place_simple-Mug-None-Desk-302/trial_T6": {"solvable": True, "walkthrough": ["look"] * 1000},
    }.items():
        folder = tmp_path / games.FOLDER / "train" / name
        folder.mkdir(parents=True)
        (folder / games.GAME_FILE).write_text(json.dumps(content))
    (tmp_path / games.FOLDER / "train" / "pick_and_place_simple-Mug-None-Desk-303" / "trial_T7").mkdir(parents=True)
    found = [task.id for task in AlfWorld(data=tmp_path).tasks("train")]
    assert found == [f"train/{good}", "train/pick_and_place_simple-Mug-None-Desk-302/trial_T6"]


def test_index_follows_what_changes(tmp_path: Path) -> None:
    def add(trial: str, solvable: bool) -> None:
        folder = tmp_path / games.FOLDER / "train" / "pick_and_place_simple-Mug-None-Desk-301" / trial
        folder.mkdir(parents=True, exist_ok=True)
        (folder / games.GAME_FILE).write_text(json.dumps({"solvable": solvable}))

    def listed() -> list[str]:
        env = AlfWorld(data=tmp_path, cache_dir=tmp_path / "cache")
        return [task.metadata["trial"] for task in env.tasks("train")]

    add("trial_1", True)
    assert listed() == listed() == ["trial_1"]
    (index,) = (tmp_path / "cache").iterdir()
    add("trial_2", False)
    assert listed() == ["trial_1"]
    add("trial_2", True)  # the folder itself did not change: only complete folders may be remembered
    assert listed() == ["trial_1", "trial_2"]
    shutil.rmtree(tmp_path / games.FOLDER / "train" / "pick_and_place_simple-Mug-None-Desk-301" / "trial_1")
    assert listed() == ["trial_2"]
    index.write_text("{")
    assert listed() == ["trial_2"]
    assert json.loads(index.read_text())


def test_plugin_says_how_to_get_the_games(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, alfworld_data: Path) -> None:
    component = registry().get("environment", "alfworld")
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "nowhere"))
    assert "alfworld-download" in (component.problem() or "")
    with pytest.raises(EnvError, match="alfworld-download"):
        list(create("environment", "alfworld").tasks("train"))
    monkeypatch.setenv("ALFWORLD_DATA", str(alfworld_data))
    assert component.problem() is None
    assert next(iter(create("environment", "alfworld").tasks("train"))).split == "train"


# Playing


def test_walkthrough_wins_every_sample_game(env: AlfWorld) -> None:
    tasks = [task for split in ("valid_seen", "valid_unseen") for task in env.tasks(split)]
    assert {task.type for task in tasks} == set(games.TASK_TYPES)
    for task in tasks[:: 4 if env.engine_name == "alfworld" else 1]:
        text, info = env.reset(options={"task": task})
        assert text.startswith("-= Welcome to TextWorld, ALFRED! =-\n\nYou are in the middle of a room.")
        assert text.endswith(f"\n\nYour task is to: {info['task'].instruction}")
        ended, total = False, 0.0
        for action in env.expert("walkthrough"):
            assert not ended
            _, reward, ended, truncated, info = env.step(action)
            total += reward
            assert info["valid"]
            assert not truncated
        assert ended
        assert total == info["score"] == 1.0
        assert info["success"] is True


def test_bad_actions_change_nothing(env: AlfWorld) -> None:
    task = next(env.tasks("valid_unseen"))
    env.reset(options={"task": task})
    before = env.admissible_actions()
    for action in ("", "   ", "put mug 1 in/on desk 1", "go to the moon", "LOOK", "\ud800", "look\nlook", "#intro#", "{1/0}"):
        text, reward, ended, truncated, info = env.step(action)
        assert (text, reward, ended, truncated) == ("Nothing happens.", 0.0, False, False)
        assert info["valid"] is False
    assert env.admissible_actions() == before
    assert env.step("help")[0].lstrip().startswith("Available commands:")


def test_same_task_seed_and_actions_give_the_same_episode(env: AlfWorld) -> None:
    task = list(env.tasks("valid_unseen"))[1]
    actions, chosen = [], random.Random(3)
    env.reset(options={"task": task})
    for _ in range(12):
        actions.append(chosen.choice(env.admissible_actions()))
        env.step(actions[-1])
    first = play(env, task, actions)
    env.reset(options={"task": next(env.tasks("valid_seen"))})
    assert play(env, task, actions) == first
    env.close()
    assert play(env, task, actions) == first


def test_expert_is_seeded_and_wins(env: AlfWorld) -> None:
    tasks = list(env.tasks("valid_unseen"))[: 2 if env.engine_name == "alfworld" else 14]
    won = 0
    for task in tasks:
        runs = []
        for _ in range(2):
            env.reset(seed=5, options={"task": task})
            actions, ended = [], False
            for action in env.expert("handcoded"):
                assert not ended
                actions.append(action)
                ended = env.step(action)[2]
            runs.append(actions)
        won += ended
        assert runs[0] == runs[1]
        assert runs[0][0] == "look"
        assert len(runs[0]) <= 101
    assert won >= 0.6 * len(tasks)


@needs_package
def test_both_engines_say_the_same(alfworld_data: Path, alfworld_cache: Path) -> None:
    fast = AlfWorld(engine="fast", data=alfworld_data)
    reference = AlfWorld(engine="alfworld", data=alfworld_data, cache_dir=alfworld_cache)
    assert fast.fingerprint() == reference.fingerprint() == wording.FINGERPRINT
    for task in list(reference.tasks("valid_seen"))[::3]:
        chosen = random.Random(task.id)
        assert fast.reset(options={"task": task}) == reference.reset(options={"task": task})
        for action in [None] * 10 + ["nonsense"] + list(reference.expert("walkthrough")):
            assert fast.admissible_actions() == reference.admissible_actions()
            action = action or chosen.choice(reference.admissible_actions())
            assert fast.step(action) == reference.step(action)


def test_human_goals(alfworld_data: Path) -> None:
    env = AlfWorld(data=alfworld_data, goals="human")
    task = next(env.tasks("valid_unseen"))
    trial = json.loads((alfworld_data / games.FOLDER / task.id / games.TRAJ_FILE).read_text())
    said = [annotation["task_desc"].strip() for annotation in trial["turk_annotations"]["anns"]]
    for seed in range(len(said) + 1):
        text, info = env.reset(seed=seed, options={"task": task})
        assert info["task"].instruction == said[seed % len(said)]
        assert text.endswith(f"Your task is to: {info['task'].instruction}")


def test_action_templates_are_the_games_own(alfworld_data: Path) -> None:
    env = AlfWorld(data=alfworld_data)
    game, _ = games.read_game(alfworld_data, next(env.tasks("valid_unseen")))
    defined = {name.lower() for name in re.findall(r"\(:action (\w+)", re.sub(r";.*", "", game["pddl_domain"]))}
    templates = dict(re.findall(r'action (\w+) \{\s*template :: "(.*)";', game["grammar"]))
    names = {"o": "object", "co": "object", "ko": "object", "r": "receptacle", "r.name | receptacleatlocation": "receptacle"}
    own = {
        re.sub(r"\[?\{([^}(]*)[^}]*\}\]?", lambda slot: f"{{{names[slot[1]]}}}", template)
        for name, template in templates.items()
        if name.lower() in defined
    }
    assert own == set(env.action_templates)


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_give_right_results(engine: str, alfworld_data: Path, alfworld_cache: Path) -> None:
    def run(task: Task) -> list[Any]:
        with AlfWorld(engine=engine, data=alfworld_data, cache_dir=alfworld_cache) as env:
            env.reset(options={"task": task})
            actions = [*env.expert("walkthrough"), "inventory", "look"]
            return play(env, task, actions)

    tasks = list(AlfWorld(data=alfworld_data).tasks("valid_seen"))[:3]
    alone = [run(task) for task in tasks]
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(run, tasks)) == alone


# The reference engine


@needs_package
def test_reference_engine_leaves_the_package_as_it_was(alfworld_data: Path, alfworld_cache: Path) -> None:
    import fast_downward
    import mementos.core
    from textworld.envs.pddl import logic, textgen

    def parts() -> list[Any]:
        return [fast_downward.pddl2sas, logic._parse_and_convert, textgen._parse_and_convert, textgen.Rule]

    before, kept = parts(), len(mementos.core._memento_cache)
    env = AlfWorld(engine="alfworld", data=alfworld_data, cache_dir=alfworld_cache)
    env.reset(options={"task": next(env.tasks("valid_seen"))})
    for action in env.expert("handcoded"):
        env.step(action)
    assert parts() == before
    assert len(mementos.core._memento_cache) == kept, "facts of a game stay behind in the package's cache"


@needs_package
def test_translation_cache_survives_damage(alfworld_data: Path, tmp_path: Path) -> None:
    env = AlfWorld(engine="alfworld", data=alfworld_data, cache_dir=tmp_path)
    task = next(env.tasks("valid_seen"))
    fresh = play(env, task, ["look", "inventory"])
    (kept,) = tmp_path.rglob("*.json.gz")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    again = AlfWorld(engine="alfworld", data=alfworld_data, cache_dir=tmp_path)
    assert play(again, task, ["look", "inventory"]) == fresh
    assert kept.read_bytes() == whole
    assert not list(tmp_path.rglob("*.partial"))


@needs_package
@pytest.mark.slow
def test_reference_engine_is_the_stock_package(alfworld_data: Path, alfworld_cache: Path) -> None:
    import textworld
    from alfworld.agents.environment.alfred_tw_env import AlfredDemangler, AlfredInfos
    from textworld.envs.pddl import PddlEnv

    infos = textworld.EnvInfos(won=True, admissible_commands=True, extras=["gamefile"])
    stock = AlfredInfos(AlfredDemangler(PddlEnv(infos), shuffle=False))
    ours = AlfWorld(engine="alfworld", data=alfworld_data, cache_dir=alfworld_cache)
    for task in list(ours.tasks("valid_seen"))[1::2]:
        chosen = random.Random(task.id)
        stock.load(str(alfworld_data / games.FOLDER / task.id / games.GAME_FILE))
        state = stock.reset()
        assert ours.reset(options={"task": task})[0] == state.feedback
        for action in [None] * 8 + ["nonsense", "help"] + list(ours.expert("walkthrough")):
            assert ours.admissible_actions() == state["admissible_commands"]
            action = action or chosen.choice(state["admissible_commands"])
            state, score, done = stock.step(action)
            text, _, ended, _, info = ours.step(action)
            assert (text, ended, info["score"]) == (state.feedback, done, score)


# Bad input


def test_unknown_options_and_tasks(alfworld_data: Path) -> None:
    with pytest.raises(ConfigError, match="engine 'quick'"):
        AlfWorld(engine="quick")
    with pytest.raises(ConfigError, match="goals 'mine'"):
        AlfWorld(goals="mine")
    with pytest.raises(ConfigError, match="engine='alfworld'"):
        AlfWorld(engine="fast", trust=True)
    env = AlfWorld(data=alfworld_data)
    task = next(env.tasks("valid_unseen"))
    for unknown in (task.id[:-1] + "x", "../../etc/passwd", "train/../..", "valid_unseen/", ""):
        with pytest.raises(EnvError, match="no task"):
            env.reset(options={"task": unknown})
    with pytest.raises(EnvError, match="Did you mean"):
        env.task(task.id + "1")
    with pytest.raises(EnvError, match="reset needs a task"):
        env.reset()
    with pytest.raises(EnvError, match="Call reset first"):
        env.step("look")
    with pytest.raises(EnvError, match="belongs to environment"):
        env.reset(options={"task": Task(environment="webshop", id=task.id)})
    env.reset(options={"task": task.id})
    with pytest.raises(EnvError, match=r"'hancoded'.*Did you mean 'handcoded'"):
        env.expert("hancoded")


def test_paths_in_a_task_do_not_lead_out(alfworld_data: Path) -> None:
    with pytest.raises(EnvError, match="no task"):
        AlfWorld(data=alfworld_data).reset(options={"task": Task(environment="alfworld", id="../../elsewhere")})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (lambda text: "[]", "not a JSON object"),
        (lambda text: "{}", "lacks pddl_domain, grammar, pddl_problem"),
        (lambda text: json.dumps({**json.loads(text), "pddl_problem": "(define (problem"}), "pddl|load|played"),
        (lambda text: text.replace("You close the", "You shut the"), "not ALFWorld's own"),
        (lambda text: text.replace("Your task is to: ", "Your task is to: {__import__('os').getcwd()}"), "not ALFWorld's own"),
    ],
)
def test_spoilt_games_are_refused(
    engine: str, spoil: Any, says: str, alfworld_data: Path, alfworld_cache: Path, tmp_path: Path
) -> None:
    task = next(AlfWorld(data=alfworld_data).tasks("valid_unseen"))
    file = copy_game(alfworld_data, task, tmp_path) / games.GAME_FILE
    file.write_text(spoil(file.read_text()))
    env = AlfWorld(engine=engine, data=tmp_path, cache_dir=alfworld_cache)
    with pytest.raises(EnvError, match=says):
        env.reset(options={"task": task})
    with pytest.raises(EnvError, match="Call reset first"):
        env.step("look")


@needs_package
def test_own_grammar_plays_when_trusted(alfworld_data: Path, alfworld_cache: Path, tmp_path: Path) -> None:
    task = next(AlfWorld(data=alfworld_data).tasks("valid_unseen"))
    file = copy_game(alfworld_data, task, tmp_path) / games.GAME_FILE
    file.write_text(file.read_text().replace("You are not carrying anything.", "Your hands are empty."))
    env = AlfWorld(engine="alfworld", data=tmp_path, cache_dir=alfworld_cache, trust=True)
    env.reset(options={"task": task})
    assert env.step("inventory")[0] == "Your hands are empty."


# The older wording


def trajectory(task: str, goal: str, pairs: list[tuple[str, str]], final: str = "", **fields: Any) -> Trajectory:
    steps = tuple(Step(observation=told, action=action) for told, action in pairs)
    return Trajectory(
        task=Task(environment="alfworld", id=task, instruction=goal), steps=steps, final_observation=final, **fields
    )


def agentinstruct(shared: Path) -> list[Trajectory]:
    with lzma.open(shared / "trajectories" / "agentinstruct_alfworld_336.json.xz", "rt") as file:
        rows = json.load(file)["trajectories"]
    pairs = [[(step["state"], step["action"]) for step in row["state_action_pairs"]] for row in rows]
    return [trajectory(row["task_instance_id"], row["task_description"], p) for row, p in zip(rows, pairs, strict=True)]


def react_prompts(shared: Path) -> list[Trajectory]:
    prompts = json.loads((shared / "trajectories" / "react_alfworld_3prompts.json").read_text())
    found = []
    for name, text in prompts.items():
        opening, *turns = re.split(r"\n> ?", text.strip())
        actions, told = zip(*((turn + "\n").split("\n", 1) for turn in turns), strict=True)
        observations = [opening, *(answer.strip() for answer in told)]
        found.append(trajectory(name, "", list(zip(observations[:-1], actions, strict=True)), observations[-1]))
    return found


def test_agentinstruct_is_translated(shared: Path) -> None:
    translated, refused = [], []
    for old in agentinstruct(shared):
        assert wording.is_older_wording(old)
        try:
            translated.append(wording.translate(old))
        except RecordError as error:
            refused.append(str(error))
    assert (len(translated), len(refused)) == (329, 7)
    assert all("no form today" in reason or "no ALFWorld game says" in reason for reason in refused)
    for new in translated:
        assert new.fingerprint == wording.FINGERPRINT
        assert not wording.is_older_wording(new)
        assert wording.translate(new) is new
        assert not any(action.startswith("put ") and "in/on" in action for action in new.actions)
        assert new.steps[0].observation.endswith(f"Your task is to: {new.task.instruction}")


def test_react_prompts_are_translated(shared: Path) -> None:
    translated, refused = {}, {}
    for old in react_prompts(shared):
        try:
            translated[old.task.id] = wording.translate(old)
        except RecordError as error:
            refused[old.task.id] = str(error)
    # In this one prompt an observation stands after the thought that follows it.
    assert len(refused) == 1
    assert len(translated) == 35
    some = translated["react_put_0"]
    assert not any(action.startswith("think") for action in some.actions)
    assert some.steps[0].thought.startswith("To solve the task")
    assert some.actions[-1] == "move spraybottle 2 to toilet 1"
    assert some.final_observation == "You move the spraybottle 2 to the toilet 1."


@pytest.mark.parametrize("name", ["expert_handcoded_train_sample", "expert_handcoded_eval_valid_unseen"])
def test_todays_wording_is_left_alone(shared: Path, name: str) -> None:
    with lzma.open(shared / "trajectories" / f"{name}.jsonl.xz", "rt") as rows:
        for row in map(json.loads, rows):
            told = [row["obs0"], *(observation for _, observation in row["steps"])]
            pairs = [(o, action) for o, (action, _) in zip(told, row["steps"], strict=False)]
            now = trajectory(row["id"], "", pairs, told[-1])
            assert not wording.is_older_wording(now)
            assert wording.translate(now) is now
            wording._check(now, list(now.steps), now.final_observation)


def test_wordings_are_told_apart_and_not_mixed() -> None:
    put = [("On the desk 1, you see nothing.", "put mug 1 in/on desk 1"), ("You put the mug 1 in/on the desk 1.", "look")]
    moved = [("You are facing the desk 1. Next to it, you see nothing.", "move mug 1 to desk 1")]
    assert wording.is_older_wording(trajectory("t", "", put))
    assert wording.is_older_wording(trajectory("t", "", moved, fingerprint=wording.OLDER_FINGERPRINT))
    assert not wording.is_older_wording(trajectory("t", "", put, fingerprint=wording.FINGERPRINT))
    with pytest.raises(RecordError, match="mixes both"):
        wording.translate(trajectory("t", "", put + moved, "You move the mug 1 to the desk 1."))
    with pytest.raises(RecordError, match="not of 'alfworld'"):
        wording.translate(Trajectory(task=Task(environment="webshop", id="1")))


def test_fingerprint_follows_the_grammar() -> None:
    assert AlfWorld().fingerprint() == make_fingerprint("alfworld", "2.1.2", AlfWorld.action_templates)
    assert wording.OLDER_FINGERPRINT != wording.FINGERPRINT


def test_the_explorer_notes_what_it_put_down(alfworld_full: Path) -> None:
    with AlfWorld(data=alfworld_full) as env:
        two = list(env.tasks("valid_unseen", ["pick_two_obj_and_place"]))
        assert len(two) == 17
        assert all(play_expert(env, task, "explorer", seed=1, max_steps=100).success for task in two)
    assert "explorer" not in AlfWorld(engine="alfworld", data=alfworld_full).experts


def test_the_searcher_wins_by_what_it_has_read_and_does_nothing_beside(alfworld_full: Path) -> None:
    with AlfWorld(data=alfworld_full) as env:
        for task in env.tasks("valid_unseen"):
            episode = play_expert(env, task, "searcher", seed=1, max_steps=50)
            assert episode.success, task.id
            text = ""
            for step in episode.steps:
                text += step.observation
                verb, _, rest = step.action.partition(" ")
                assert verb not in ("look", "close", "inventory", "help")
                assert verb != "take" or f"a {rest.partition(' from ')[0]}" in text, step.action
        again = [play_expert(env, task, "searcher", seed=seed, max_steps=50).steps for seed in (1, 2)]
        assert again[0] == again[1]
    assert "searcher" not in AlfWorld(engine="alfworld", data=alfworld_full).experts
