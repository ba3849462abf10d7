"""A bad episode is data: whatever an environment raises or answers wrongly is an EnvError that names environment and call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from exprag import components
from exprag.contracts.environment import answering
from exprag.environments import calls
from exprag.environments.expert import play, play_expert
from exprag.environments.sessions import Sessions, first_difference
from exprag.errors import EnvError, ExpragError
from exprag.trajectory import Task
from toy import Toy


@pytest.fixture(autouse=True)
def nobody_made_a_toy_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that a test before these named by its import path is called by that path from then on."""
    monkeypatch.setattr(components, "_origins", {})


def exits() -> Any:
    raise SystemExit(3)


def generator_exits() -> Any:
    raise GeneratorExit


def fails() -> Any:
    raise OSError("the disk is gone\nmore of it")


def altered(call: str, change: Callable[[Any], Any]) -> Toy:
    """A toy in which what one call returns is changed."""
    toy = Toy()
    original = getattr(toy, call)
    setattr(toy, call, lambda *args, **options: change(original(*args, **options)))
    return toy


def with_info(call: str, **values: Any) -> Toy:
    return altered(call, lambda answer: (*answer[:-1], {**answer[-1], **values}))


OTHER = Task(environment="toy", id="test/1", type="carry")
STEP_FAULTS = [
    (with_info("step", score=float("nan")), r'info\["score"\] must be a finite number, not nan \(float\)'),
    (with_info("step", score="high"), r"finite number, not 'high' \(str\)"),
    (with_info("step", score=None), r"finite number, not None"),
    (with_info("step", success="yes"), r'info\["success"\] must be a bool'),
    (with_info("step", valid="no"), r'info\["valid"\] must be a bool'),
    (altered("step", lambda a: (a[0], "1.0", *a[2:])), r"the reward must be a finite number, not '1.0' \(str\)"),
    (altered("step", lambda a: (a[0], float("inf"), *a[2:])), r"the reward must be a finite number, not inf"),
    (altered("step", lambda a: (a[0], 10**400, *a[2:])), r"the reward must be a finite number, not 1000"),
    (altered("step", lambda a: (None, *a[1:])), r"the observation must be a string, not None \(NoneType\)"),
    (altered("step", lambda a: (b"bytes", *a[1:])), r"the observation must be a string, not b'bytes'"),
    (altered("step", lambda a: (*a[:4], [1])), r"the info must be a dict, not \[1\] \(list\)"),
    (altered("step", lambda a: (a[0], a[1], "False", *a[3:])), r"terminated must be a bool, not 'False'"),
    (altered("step", lambda a: a[:4]), r"must return \(observation, reward, terminated, truncated, info\)"),
    (altered("step", lambda a: None), r"must return \(observation, reward"),
    (altered("step", lambda a: exits()), r"SystemExit: 3\."),
    (altered("step", lambda a: generator_exits()), r"GeneratorExit\."),
    (altered("step", lambda a: fails()), r"OSError: the disk is gone\."),
]
RESET_FAULTS = [
    (altered("reset", lambda a: (7, a[1])), r"the observation must be a string, not 7 \(int\)"),
    (altered("reset", lambda a: a[0]), r"must return \(observation, info\), not 'You stand"),
    (altered("reset", lambda a: (a[0], None)), r"the info must be a dict"),
    (with_info("reset", task=OTHER), r"must be the task that was started, 'toy:test/0', not 'toy:test/1'"),
    (with_info("reset", task=None), r'info\["task"\] must be the Task\. Not a valid Task'),
    (with_info("reset", score=float("nan")), r"finite number, not nan"),
    (altered("reset", lambda a: exits()), r"SystemExit: 3\."),
]


@pytest.mark.parametrize(("toy", "message"), STEP_FAULTS)
def test_a_bad_step_ends_the_episode_as_data(toy: Toy, message: str) -> None:
    episode = play(toy, Toy().task("test/0"), ["look", "look"])
    assert (episode.ended, episode.steps, episode.success, episode.score) == ("error", (), False, 0.0)
    assert episode.final_observation.startswith("You stand at the door")
    assert episode.error is not None
    assert episode.error.boundary == "environment"
    assert episode.error.message.startswith("The environment 'toy' broke in step: ")
    assert episode.error.message.endswith("Check it: exprag validate env toy:Toy")
    with pytest.raises(EnvError, match=message):
        raise EnvError(episode.error.message)
    sessions = Sessions(lambda: toy)
    sessions.reset("a", Toy().task("test/0"))
    with pytest.raises(EnvError, match=message):
        sessions.step("a", Toy().task("test/0"), "look", actions=[])


@pytest.mark.parametrize(("toy", "message"), RESET_FAULTS)
def test_a_bad_reset_ends_the_episode_as_data(toy: Toy, message: str) -> None:
    episode = play(toy, Toy().task("test/0"), ["look"])
    assert (episode.ended, episode.task.id, episode.steps) == ("error", "test/0", ())
    assert episode.error is not None
    assert episode.error.message.startswith("The environment 'toy' broke in reset: ")
    with pytest.raises(EnvError, match=message):
        Sessions(lambda: toy).reset("a", Toy().task("test/0"))


def test_what_is_unusual_but_right_is_taken() -> None:
    toy = altered("step", lambda a: [np.str_(a[0]), np.float32(0.5), np.bool_(False), 0, {"score": np.float64(0.5)}])
    first = calls.reset(toy, toy.task("test/0"))
    outcome = calls.step(toy, "look", first)
    assert (type(outcome.observation), outcome.reward, outcome.terminated, outcome.truncated) == (str, 0.5, False, False)
    assert (outcome.score, outcome.success, outcome.valid) == (0.5, False, None)
    silent = altered("step", lambda a: (*a[:4], {}))
    silent.reset(options={"task": "test/0"})
    outcome = calls.step(silent, "look", calls.Outcome("", score=0.5, success=True))
    assert (outcome.score, outcome.success) == (0.5, True), "what is left out is as it was"
    assert calls.reset(altered("reset", lambda a: (a[0], {})), toy.task("test/0")).task == toy.task("test/0")


def test_halves_of_a_character_are_joined_as_a_step_holds_them() -> None:
    sessions = Sessions(lambda: altered("step", lambda a: ("\ud83d\ude42", *a[1:])))
    task = sessions.task("test/0")
    seen = [sessions.reset("a", task).observation, sessions.step("a", task, "look", actions=[]).observation]
    assert seen[1] == "🙂"
    assert sessions.step("b", task, "look", actions=["look"], observations=seen).observation == "🙂", "a replay agrees"


def yields(*actions: Any) -> Callable[..., Iterator[Any]]:
    return lambda name=None: iter(actions)


@pytest.mark.parametrize(
    ("expert", "steps", "message"),
    [
        (yields("look", 7), 1, "every action must be a string, not 7 (int)."),
        (yields(None), 0, "every action must be a string, not None (NoneType)."),
        (lambda name: None, 0, "TypeError: 'NoneType' object is not iterable."),
        (lambda name: exits(), 0, "SystemExit: 3."),
        (lambda name: (exits() for _ in range(2)), 0, "SystemExit: 3."),
    ],
)
def test_a_bad_expert_ends_the_episode_as_data(expert: Any, steps: int, message: str) -> None:
    toy = Toy()
    toy.expert = expert  # type: ignore[method-assign]
    episode = play_expert(toy, toy.task("test/0"))
    assert (episode.ended, len(episode.steps)) == ("error", steps)
    assert episode.error is not None
    assert episode.error.message.startswith(f"The environment 'toy' broke in its expert: {message}")


@pytest.mark.parametrize(
    ("call", "bad", "message"),
    [
        ("fingerprint", None, "it must return a string, not None"),
        ("fingerprint", fails, "OSError"),
        ("max_steps", 0, "a whole number from 1 on, not 0"),
        ("max_steps", "50", "a whole number from 1 on, not '50'"),
        ("max_steps", exits, "SystemExit"),
        ("admissible_actions", "look", "a list of strings or None, not 'look'"),
        ("admissible_actions", ["look", 1], "a list of strings or None"),
        ("admissible_actions", fails, "OSError"),
        ("task", "test/0", "it must return a Task"),
        ("task", fails, "OSError"),
    ],
)
def test_every_other_call_is_named_too(call: str, bad: Any, message: str) -> None:
    toy = altered(call, lambda answer: bad() if callable(bad) else bad)
    task = Toy().task("test/0")
    ask = {
        "fingerprint": lambda: calls.fingerprint(toy),
        "max_steps": lambda: calls.max_steps(toy, task),
        "admissible_actions": lambda: calls.admissible_actions(toy),
        "task": lambda: calls.find_task(toy, "test/0"),
    }[call]
    with pytest.raises(EnvError, match=f"The environment 'toy' broke in {call}: .*{message}"):
        ask()


def test_a_fingerprint_that_raises_is_the_episodes_error() -> None:
    toy = altered("fingerprint", lambda answer: fails())
    episode = play_expert(toy, Toy().task("test/0"))
    assert (episode.ended, episode.fingerprint, episode.steps) == ("error", "", ())
    assert episode.error is not None
    assert "broke in fingerprint: OSError" in episode.error.message
    with pytest.raises(EnvError, match="broke in fingerprint"):
        Sessions(lambda: toy).fingerprint()


def test_one_that_cannot_be_closed_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[Toy] = []

    class Clinging(Toy):
        def close(self) -> None:
            closed.append(self)
            raise RuntimeError("still busy")

    sessions = Sessions(Clinging, capacity=2)
    task = sessions.task("test/0")
    sessions.reset("a", task)
    sessions.reset("b", task)
    with caplog.at_level(logging.WARNING):
        sessions.close()
    assert len(closed) == 2
    assert caplog.text.count("broke in close: RuntimeError: still busy") == 2


def test_an_environment_that_broke_is_not_used_again() -> None:
    live: list[Toy] = []

    class Mortal(Toy):
        closes = 0

        def close(self) -> None:
            self.closes += 1

    def make() -> Toy:
        live.append(Mortal(die_at=1 if len(live) == 1 else -1))  # the first is the describing one
        return live[-1]

    sessions = Sessions(make, capacity=1)
    task = sessions.task("test/0")
    sessions.reset("a", task)
    sessions.step("a", task, "look", actions=[])
    with pytest.raises(EnvError, match="died"):
        sessions.step("a", task, "look", actions=["look"])
    sessions.release("a")
    sessions.reset("b", task)
    assert sessions.step("b", task, "look", actions=[]).observation
    assert [getattr(toy, "closes", 0) for toy in live] == [0, 1, 0]


def test_a_constructor_that_exits_is_named() -> None:
    toys = iter([Toy()])
    sessions = Sessions(lambda: next(toys, None) or exits())
    with pytest.raises(EnvError, match="broke in its constructor: SystemExit"):
        sessions.reset("a", sessions.task("test/0"))


def test_ctrl_c_passes_where_it_can_be_the_users() -> None:
    with pytest.raises(KeyboardInterrupt), answering(Toy(), "step"):
        raise KeyboardInterrupt
    errors: list[BaseException] = []

    def in_a_thread() -> None:
        try:
            with answering(Toy(), "step"):
                raise KeyboardInterrupt
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join(30)
    assert isinstance(errors[0], EnvError), "no signal reaches another thread: the environment raised it"
    with pytest.raises(ExpragError, match="my own"), answering(Toy(), "step"):
        raise EnvError("my own words")


def test_the_first_difference_is_shown() -> None:
    common = "a room with many things in it, " * 10
    one, other = common + "and a mug" + common, common + "and a map" + common
    assert first_difference(one, other) == (
        f"from character {len(common) + 7} on it was …{(one[len(common) - 13 : len(common) + 67])!r}…, "
        f"now it is …{(other[len(common) - 13 : len(common) + 67])!r}…"
    )
    assert first_difference("a mug", "a mug ") == "from character 5 on it was 'a mug', now it is 'a mug '"
