from __future__ import annotations

import threading

import pytest

from exprag.environments.sessions import Sessions
from exprag.errors import EnvError
from toy import Toy

ACTIONS = ["go to desk", "look", "go to shelf", "go to box"]


def play(sessions: Sessions, episode: str, upto: int, start: int = 0) -> list[str]:
    """Observations of the toy's first test task, asking step by step from `start`."""
    task = sessions.describe.task("test/0")
    seen = [sessions.reset(episode, task, 1).observation] if start == 0 else []
    for number in range(start, upto):
        seen.append(sessions.step(episode, task, ACTIONS[number], actions=ACTIONS[:number], seed=1).observation)
    return seen


def test_a_session_is_reused_not_replayed() -> None:
    made: list[Toy] = []
    sessions = Sessions(lambda: made.append(Toy()) or made[-1])  # type: ignore[func-returns-value]
    play(sessions, "a", 4)
    live = [toy for toy in made if toy.resets]
    assert [toy.resets for toy in live] == [1]
    assert live[0].steps_played == 4
    sessions.release("a")
    play(sessions, "b", 2)
    assert [toy.resets for toy in made if toy.resets] == [2]


def test_a_lost_session_is_rebuilt_by_replay() -> None:
    whole = play(Sessions(Toy), "a", 4)
    fresh = Sessions(Toy)
    assert play(fresh, "a", 4, start=3) == whole[-1:]


def test_capacity_costs_replay_never_correctness() -> None:
    sessions = Sessions(Toy, capacity=1)
    a, b = play(sessions, "a", 2), play(sessions, "b", 2)
    assert a == b
    assert play(sessions, "a", 4, start=2) == play(Sessions(Toy), "x", 4)[-2:]
    assert len(sessions._live) == 1


def test_a_fork_goes_back_and_takes_another_way() -> None:
    sessions = Sessions(Toy)
    task = sessions.describe.task("test/0")
    play(sessions, "a", 4)
    forked = sessions.step("a", task, "look", actions=["go to shelf"], seed=1)
    assert "At the shelf" in forked.observation


def test_a_replay_that_disagrees_is_refused() -> None:
    sessions = Sessions(Toy)
    task = sessions.describe.task("test/0")
    recorded = [sessions.reset("b", task, 1).observation, "something else"]
    with pytest.raises(EnvError, match=r"step 1.*'something else'"):
        sessions.step("a", task, "look", actions=["go to desk"], observations=recorded, seed=1)


def test_threads_share_sessions_safely() -> None:
    sessions = Sessions(Toy, capacity=2)
    expected = play(Sessions(Toy), "x", 4)
    results: dict[int, list[str]] = {}
    threads = [threading.Thread(target=lambda n=n: results.__setitem__(n, play(sessions, str(n), 4))) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [results[n] for n in range(6)] == [expected] * 6
    sessions.close()
