"""Why episodes were lost, told from their records alone."""

from __future__ import annotations

import pytest
from evaluation.material import episode

from exprag.evaluation import RunResult, compare
from exprag.evaluation.causes import CAUSES, Cause, causes_of, find_cause
from exprag.evaluation.things import Vocabulary, handled
from exprag.trajectory import Ending, EpisodeError, Step, Task, Trajectory

START = "You are in a room. You see a shelf 1, a desk 1, and a drawer 1.\n\nYour task is to: "
PLATE = "put a clean plate in shelf."


def play(
    *turns: str | tuple[str, str],
    instruction: str = PLATE,
    ended: Ending = "truncated",
    valid: bool | None = True,
    end: str = "Nothing.",
    **more: object,
) -> Trajectory:
    """A lost episode of actions, or pairs of an observation and an action."""
    pairs = [turn if isinstance(turn, tuple) else (f"You look at desk {n}.", turn) for n, turn in enumerate(turns)]
    if pairs and not isinstance(turns[0], tuple):
        pairs[0] = (START + instruction, pairs[0][1])
    steps = tuple(Step(observation=seen, action=action, valid=valid) for seen, action in pairs)
    task = Task(environment="toy", id="1", type="place", instruction=instruction)
    fields = {"success": False, "score": 0.0, "final_observation": end, "ended": ended, **more}
    return Trajectory.from_dict({"task": task, "steps": steps, **fields})


def cause(trajectory: Trajectory, *others: Trajectory) -> Cause:
    result = find_cause(trajectory, Vocabulary([trajectory, *others]))
    assert result is not None
    return result


def test_a_solved_episode_has_no_cause() -> None:
    assert causes_of([episode("1", True), episode("2", False)])[0] is None


@pytest.mark.parametrize(
    ("boundary", "expected"),
    [("environment", "environment_broke"), ("model", "model_broke"), ("retrieval", "broke_off"), ("graph", "broke_off")],
)
def test_errors_are_told_by_their_boundary(boundary: str, expected: str) -> None:
    result = cause(play("look", ended="error", error=EpisodeError(boundary=boundary, message="It is gone.")))
    assert (result.name, result.why) == (expected, "It is gone.")


def test_a_model_that_gives_nothing() -> None:
    assert cause(play("look", "", "", ended="error", error=EpisodeError(boundary="model", message="no"))).name == "no_action"
    result = cause(play("look", "", "", ""))
    assert (result.name, result.step) == ("no_action", 1)
    assert cause(play(ended="gave_up")).name == "no_action"


def test_actions_that_were_not_understood() -> None:
    result = cause(play("fly", "sing", "swim", "dance", valid=False))
    assert result.name == "invalid_actions"
    assert "4 of 4" in result.why


def test_going_round_in_a_loop() -> None:
    turns = [("You are at the desk. You see a plate 1.", "take plate 1 from desk 1"), *[("You wait.", "wait")] * 9]
    result = cause(play(*turns))
    assert (result.name, result.step) == ("repeats", 1)
    assert result.why.endswith("'wait' 9 times. Last with the plate: 'take plate 1 from desk 1', step 1.")
    fresh = [(f"Place {n}.", f"go to place {n}") for n in range(20)]
    assert cause(play(*fresh, *[("You wait.", "wait")] * 5)).name == "repeats", "the end alone is a loop"
    assert cause(play(*[("You wait.", "wait")] * 5, *fresh)).name != "repeats", "a loop that it left is not why it lost"


def test_the_object_was_never_found_or_another_one_was_taken() -> None:
    other = play(("You see a plate 1 and a mug 1.", "look"))
    lost = play("go to shelf 1", "go to desk 1", "open drawer 1")
    assert cause(lost, other).name == "never_found"
    assert "plate" in cause(lost).why, "the instruction's own words are not a sight of it, and nobody else need have seen it"
    wrong = play("go to desk 1", ("You see a plate 1 and a mug 1.", "take mug 1 from desk 1"), "go to shelf 1")
    assert cause(wrong).name == "wrong_object"
    assert cause(wrong).step == 1
    left = play("go to desk 1", ("You see a plate 1 and a mug 1.", "go to shelf 1"))
    assert cause(left).name == "not_handled"


def test_what_ended_it_is_the_cause_where_nothing_else_is() -> None:
    handling = [("You see a plate 1.", "take plate 1 from desk 1"), ("You have it.", "go to shelf 1")]
    assert cause(play(*handling)).name == "out_of_steps"
    ended = cause(play(*handling, ended="terminated"))
    assert ended.name == "ended_unsolved"
    assert "'go to shelf 1'" in ended.why
    assert cause(play(*handling, ended="terminated", success=None)).name == "unknown_outcome"


def test_an_episode_that_the_wrong_object_ended() -> None:
    turtle = ("You see a turtle.", "focus on turtle")
    result = cause(play(turtle, instruction="find a(n) plant. First, focus on it.", ended="terminated"))
    assert (result.name, result.signs) == ("wrong_object", ("ended_unsolved",))


@pytest.mark.parametrize(
    ("instruction", "thing"),
    [
        ("put a clean mug in the cabinet.", "mug"),
        ("find two cellphone and put them in bed.", "cellphone"),
        ("look at alarmclock under the desklamp.", "alarmclock"),
        ("Your task is to boil lead. First, focus on the substance.", "lead"),
        ("Your task is to change the state of matter of lead.", "lead"),
        ("Your task is to measure the temperature of unknown substance B, which is here.", "substance b"),
        ("Your task is to find a(n) non-living thing.", ""),
        ("", ""),
        ("🙂 ???", ""),
    ],
)
def test_what_an_instruction_is_about(instruction: str, thing: str) -> None:
    assert Vocabulary([]).target(instruction) == thing


@pytest.mark.parametrize(
    ("action", "things"),
    [
        ("take mug 1 from desk 1", {"mug"}),
        ("move the plates to shelf 2", {"plate"}),
        ("pick up metal pot", {"metal", "pot"}),
        ("go to desk 1", set()),
        ("examine mug 1", set()),
        ("", set()),
    ],
)
def test_what_an_action_handles(action: str, things: set[str]) -> None:
    assert handled(action) == things


def test_the_report_counts_causes_by_arm_and_leads_to_the_episodes() -> None:
    lost = play("fly", "sing", valid=False)
    run = RunResult("a", {"bank": None}, {}, (lost, play(*[("You wait.", "wait")] * 4), episode("2", True)))
    report = compare([run])
    (losses,) = report.losses
    assert (losses.lost, losses.counts) == (2, {"invalid_actions": 1, "repeats": 1})
    assert losses.episodes["invalid_actions"] == (lost.id,)
    assert report.to_dict()["losses"][0]["episodes"]["invalid_actions"] == (lost.id,)
    text = report.to_markdown()
    assert "| actions were not understood | 1 (50 %) |" in text
    assert set(losses.counts) <= set(CAUSES)
