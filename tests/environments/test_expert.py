from __future__ import annotations

import pytest

from exprag.environments.expert import play, play_expert, validate
from exprag.errors import EnvError
from toy import Toy


def test_the_expert_wins_and_the_record_says_how() -> None:
    toy = Toy()
    for task in toy.tasks("train"):
        episode = play_expert(toy, task, seed=3, run="r")
        assert (episode.success, episode.score, episode.ended, episode.source) == (True, 1.0, "terminated", "expert")
        assert episode.provenance.model == "expert:walk"
        assert episode.fingerprint == toy.fingerprint()
        assert episode.steps[0].observation.startswith("You stand at the door")
        assert "You drop" in episode.final_observation


def test_endings() -> None:
    toy = Toy()
    task = toy.task("test/0")
    assert play(toy, task, ["look", "look"]).ended == "gave_up"
    assert play(toy, task, ["look"] * 9, max_steps=3).ended == "truncated"
    broken = play(Toy(die_at=1), task, ["look"] * 3)
    assert broken.ended == "error"
    assert broken.error is not None
    assert (broken.error.boundary, broken.error.message, len(broken.steps)) == ("environment", "The toy died.", 1)


def test_an_unknown_expert_and_a_losing_one_are_named() -> None:
    toy = Toy()
    with pytest.raises(EnvError, match="It has: walk"):
        play_expert(toy, toy.task("test/0"), "fly")
    with pytest.raises(EnvError, match="did not win toy:test/0: The toy died"):
        validate(Toy(die_at=0), toy.task("test/0"))


def test_an_unknown_task_suggests_near_ones() -> None:
    with pytest.raises(EnvError, match="Did you mean 'test/1'"):
        Toy(size=2).task("test/11")
    with pytest.raises(EnvError, match="belongs to environment 'other'"):
        Toy().task({"environment": "other", "id": "1", "type": "x"})
