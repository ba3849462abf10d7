"""Checkpoints chosen by rollouts: a real training, the runs' own folders, and episodes of known outcome."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny

from exprag.errors import ConfigError, RunError
from exprag.evaluation.statistics import wilson
from exprag.models.cards import Card
from exprag.runs import RunConfig, RunDirectory, choose_tasks
from exprag.training import TrainResult, select_checkpoint, train
from exprag.trajectory import Step, Trajectory
from toy import Toy

pytest.importorskip("trl")
EASY = RunConfig.make(name="easy", environment="toy:Toy", types=("fetch",), workers=0, max_steps=2, k=0)
HARD = EASY.model_copy(update={"name": "hard", "types": ("carry",)})


@pytest.fixture
def out(trained: TrainResult, base: str, tmp_path: Path) -> Path:
    """A copy of a training, with its base."""
    shutil.copytree(base, tmp_path / "base")
    return Path(shutil.copytree(trained.out, tmp_path / "out"))


def play(out: Path, set_: RunConfig, checkpoint: str, solved: int, steps: int) -> None:
    """Put the whole run of a checkpoint there, as if it had been played: the first `solved` tasks solved, in `steps` steps."""
    folder = RunDirectory(out / "rollouts" / set_.name / checkpoint)
    folder.prepare(set_.model_copy(update={"model": f"hf:{out / checkpoint}"}))
    for number, task in enumerate(choose_tasks(Toy(), set_)):
        played = (Step(observation="a", action="look"),) * steps
        folder.append(Trajectory(task=task, steps=played, success=number < solved, score=0.0, ended="terminated"))


def test_success_chooses_not_loss(out: Path) -> None:
    for checkpoint, easy, hard in (("checkpoint-3", 1, 4), ("checkpoint-6", 3, 2), ("checkpoint-9", 2, 0)):
        play(out, EASY, checkpoint, easy, 4)
        play(out, HARD, checkpoint, hard, 4)
    chosen = select_checkpoint(out, {"easy": EASY, "hard": HARD})
    assert (chosen.chosen.name, chosen.by) == ("checkpoint-6", "easy")
    assert json.loads((out / "selection.json").read_text())["chosen"] == "checkpoint-6"
    assert Card.read(out / "best").step == 6
    assert select_checkpoint(out, {"easy": EASY, "hard": HARD}, by="hard").chosen.name == "checkpoint-3"

    best = Card.read(out / "best")
    limits = wilson(4, 4)
    assert limits is not None
    assert best.step == 3
    assert best.results["rollouts"]["hard"]["low"] == pytest.approx(limits.low)  # type: ignore[index,call-overload]
    assert "success, hard" in (out / "best" / "README.md").read_text()
    assert not list((out / "best").glob("*.pt*"))
    selection = json.loads((out / "selection.json").read_text())
    assert selection["chosen"] == "checkpoint-3"
    assert len(selection["rollouts"]) == 6


@pytest.mark.parametrize(("steps", "best"), [((5, 4, 4), "checkpoint-6"), ((4, 4, 4), "checkpoint-3")])
def test_equal_success_goes_to_fewer_steps_then_to_the_earlier(out: Path, steps: tuple[int, ...], best: str) -> None:
    for checkpoint, length in zip(("checkpoint-3", "checkpoint-6", "checkpoint-9"), steps, strict=True):
        play(out, EASY, checkpoint, 2, length)
    assert select_checkpoint(out, EASY).chosen.name == best


@pytest.mark.slow
def test_checkpoints_are_really_played_and_an_interrupted_selection_goes_on(out: Path) -> None:
    episodes: list[str] = []

    def stop(name: str, done: int, total: int, trajectory: Trajectory | None) -> None:
        if trajectory is not None:
            episodes.append(f"{name} {trajectory.task.id}")
            if len(episodes) == 3:
                raise KeyboardInterrupt

    two = EASY.model_copy(update={"limit": 2})
    options: dict[str, Any] = {"model_options": {"max_new_tokens": 2}, "progress": stop}
    with pytest.raises(KeyboardInterrupt):
        select_checkpoint(out, two, **options)
    chosen = select_checkpoint(out, two, **options)
    assert len(episodes) == len(set(episodes)) == 6  # three checkpoints, two tasks, none twice
    assert {(r.n, r.errors) for r in chosen.rollouts} <= {(2, 0), (2, 2)}  # untrained, it may say nothing at all


@pytest.mark.slow
def test_rollouts_during_training_change_no_weight_and_choose(trained: TrainResult, base: str, tmp_path: Path) -> None:
    one = EASY.model_copy(update={"limit": 1, "max_steps": 1})
    result = train(
        tiny.make_rows(),
        base,
        tmp_path / "out",
        rollouts={"easy": one},
        model_options={"max_new_tokens": 2},
        num_train_epochs=3,
        batch_size=4,
        learning_rate=3e-2,
        r=16,
        validation=0.2,
    )
    assert result.adapter == tmp_path / "out" / "best"
    for checkpoint in result.checkpoints:
        ours, theirs = checkpoint / "adapter_model.safetensors", trained.out / checkpoint.name / "adapter_model.safetensors"
        assert ours.read_bytes() == theirs.read_bytes()
        assert Card.read(checkpoint).results["rollouts"]


def test_bad_input(out: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no whole checkpoint"):
        select_checkpoint(tmp_path / "nowhere", EASY)
    with pytest.raises(ConfigError, match=r"no set 'soft'.*easy"):
        select_checkpoint(out, {"easy": EASY}, by="soft")
    with pytest.raises(ConfigError, match="becomes a folder"):
        select_checkpoint(out, {"../easy": EASY})
    with pytest.raises(ConfigError, match="no set of tasks"):
        select_checkpoint(out, {})
