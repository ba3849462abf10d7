from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprag.environments.expert import play, play_expert
from exprag.environments.renaming import first_word, invent_verbs
from exprag.errors import ConfigError, EnvError, PluginError
from exprag.hookspecs import hookimpl
from exprag.plugins import create, registry
from exprag.trajectory import Task
from exprag_envs.drift import Drift
from toy import Toy


class Helpful(Toy):
    """The toy with a `help` that lists its actions, and admissible actions."""

    name = "helpful"

    def tasks(self, split: str, types: Any = None) -> Iterator[Task]:
        return (task.model_copy(update={"environment": self.name}) for task in super().tasks(split, types))

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if action == "help":
            text = "You can:\n  go to PLACE\n  take THING\n  drop THING\n  dance"
            return text, 0.0, False, False, {"score": 0.0, "success": False}
        return super().step(action)

    def admissible_actions(self) -> list[str]:
        return ["go to desk", "look", "take mug"]


class Wordless(Toy):
    name = "wordless"
    action_templates = ("{verb} {thing}",)


class Plugin:
    @hookimpl
    def register_environments(self, register: Any) -> None:
        for kind in (Toy, Helpful, Wordless):
            register(kind.name, kind)


@pytest.fixture(autouse=True, scope="module")
def toys() -> Iterator[None]:
    registry.cache_clear()
    registry().add(Plugin(), "toys")
    yield
    registry.cache_clear()


def drifted(environment: str = "toy", **options: Any) -> Any:
    return create("environment", "drift", environment=environment, **options)


def test_the_templates_and_the_expert_speak_the_new_words() -> None:
    drift = drifted(seed=3)
    words = drift.renamed
    assert sorted(words) == ["drop", "go", "look", "take"]
    go, take, drop, look = (words[verb] for verb in ("go", "take", "drop", "look"))
    assert drift.action_templates == (f"{go} to {{place}}", f"{take} {{thing}}", f"{drop} {{thing}}", look)
    assert drifted(seed=3, document=False).action_templates == Toy.action_templates
    task = next(drift.tasks("test"))
    assert (task.environment, task.id, task.type) == ("drift", "toy/test/0", "fetch")
    episode = play_expert(drift, task, seed=1)
    assert episode.success
    assert all(first_word(action)[2] in words.values() for action in episode.actions)  # type: ignore[index]
    inner = create("environment", "toy")
    plain = play_expert(inner, inner.task("test/0"), seed=1)
    assert [step.observation for step in plain.steps] == [step.observation for step in episode.steps]
    assert [drift.to_old(action) for action in episode.actions] == plain.actions
    assert play(drifted(seed=3), task, episode.actions, seed=1).steps == episode.steps


def test_old_words_are_not_understood() -> None:
    drift = drifted()
    drift.reset(seed=1, options={"task": "toy/test/0"})
    for action in ("look", "LOOK", "go to desk", " take mug"):
        text, reward, terminated, _, info = drift.step(action)
        assert (text, reward, terminated, info["valid"]) == ("Nothing happens.", 0.0, False, False)
    assert drift.step(drift.to_new("go to desk"))[0].startswith("At the desk")
    assert drift.step(drift.renamed["look"].upper())[0].startswith("At the desk"), "a new word is known in capitals too"


def test_lists_of_actions_are_renamed() -> None:
    drift = drifted("helpful")
    drift.reset(options={"task": "helpful/test/0"})
    go, take, drop, look = (drift.renamed[verb] for verb in ("go", "take", "drop", "look"))
    assert drift.step("help")[0] == f"You can:\n  {go} to PLACE\n  {take} THING\n  {drop} THING\n  dance"
    assert drift.admissible_actions() == [f"{go} to desk", look, f"{take} mug"]
    assert drifted().admissible_actions() is None


def test_the_documentation_has_every_action_in_both_words() -> None:
    drift = drifted(seed=5)
    told = drift.documentation()
    for template in Toy.action_templates:
        assert f"- `{drift.to_new(template)}` (was `{template}`)" in told


@given(st.integers(), st.lists(st.from_regex(r"[a-z]{1,8}( \{x\})?", fullmatch=True), min_size=1, max_size=30), st.text())
def test_renaming_is_reversible(seed: int, templates: list[str], tail: str) -> None:
    words = invent_verbs(templates, seed)
    assert len(set(words.values())) == len(words)
    assert not set(words) & set(words.values())
    assert words == invent_verbs(list(reversed(templates)), seed)
    drift = Drift.__new__(Drift)
    drift.renamed, drift._original = words, {new: old for old, new in words.items()}
    for verb in words:
        action = f"{verb} {tail}"
        assert drift.to_old(drift.to_new(action)) == action
        assert drift.to_old(action) is None


def test_what_begins_with_no_verb_passes_unchanged() -> None:
    drift = drifted()
    for action in ("", "0", "{object}", "\ud800", "\x00 look", "jump", "looking"):
        assert drift.to_old(action) == drift.to_new(action) == action


def test_fingerprints_tell_seeds_apart() -> None:
    assert drifted(seed=1).fingerprint() == drifted(seed=1).fingerprint()
    assert len({drifted(seed=seed).fingerprint() for seed in range(5)} | {drifted("helpful").fingerprint()}) == 6
    assert drifted(seed=1).fingerprint().startswith(f"drift@{Toy().fingerprint()}+")


def test_tasks_carry_the_inner_task() -> None:
    drift = drifted(options={"size": 3})
    tasks = list(drift.tasks("train"))
    assert len(tasks) == 3
    assert [drift.task(task.id) for task in tasks] == tasks
    for way in (tasks[1], tasks[1].to_dict(), tasks[1].id, tasks[1].model_copy(update={"metadata": {}})):
        _, info = drift.reset(seed=1, options={"task": way})
        assert info["task"] == tasks[1]
    assert Task.from_dict(tasks[1].metadata["inner"]) == Toy(size=3).task("train/1")
    assert drift.max_steps(tasks[1]) == 12


def test_bad_input_is_refused() -> None:
    with pytest.raises(PluginError, match=r"no environment 'toi'.*'toy'"):
        drifted("toi")
    with pytest.raises(ConfigError, match="does not take these options"):
        drifted(options={"colour": 1})
    with pytest.raises(ConfigError, match="nothing to rename"):
        drifted("wordless")
    drift = drifted()
    with pytest.raises(EnvError, match=r"no task 'test/0'.*begin with 'toy/'"):
        drift.reset(options={"task": "test/0"})
    with pytest.raises(EnvError, match="no task 'test/99'"):
        drift.reset(options={"task": "toy/test/99"})
    with pytest.raises(EnvError, match="needs to know its task"):
        drift.reset()


def test_over_textworld(tmp_path: Path) -> None:
    pytest.importorskip("textworld", reason="the textworld extra is not installed: pip install 'exprag[textworld]'")
    with drifted("textworld", seed=1, options={"cache_dir": tmp_path}) as drift:
        task = drift.task("textworld/quest/train/0")
        episode = play_expert(drift, task)
        assert episode.success
        drift.reset(options={"task": task})
        assert all(first_word(action)[2] in drift.renamed.values() for action in drift.admissible_actions())
        assert drift.step("look")[0] == "That's not a verb I recognise."
        assert f"{drift.renamed['take']} ... from ...:" in drift.step("help")[0]


@pytest.mark.scienceworld
def test_over_scienceworld() -> None:
    pytest.importorskip("scienceworld", reason="the scienceworld extra is not installed: pip install 'exprag[scienceworld]'")
    with drifted("scienceworld", seed=2) as drift:
        task = drift.task("scienceworld/find-animal/0")
        episode = play_expert(drift, task)
        assert episode.success, episode.error
        assert all(step.valid is not False for step in episode.steps)
        assert episode.task.instruction
        drift.reset(options={"task": task})
        first = drift.step("look around")
        assert first[4]["valid"] is False
        assert drift.step(drift.to_new("look around"))[0] != first[0]
