"""Threads on real simulators: killed with -9 at step 7 and resumed in another process, and forked from an earlier step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.environments.sessions import Sessions
from exprag.errors import EnvError
from exprag.graph import build_agent
from exprag.plugins import create

AT = 7
TASKS = {  # type, splits, and how many of the expert's episodes the baseline needs to win
    "scienceworld": ("find-living-thing", "train", "test", 1),
    "alfworld": ("pick_clean_then_place_in_recep", "train", "valid_unseen", 3),
}
CHILD = """
import sys, time
from langgraph.checkpoint.sqlite import SqliteSaver
from exprag.graph import build_agent

environment, task, bank, threads, stop = sys.argv[1:]
agent = build_agent(environment, bank=bank)
with SqliteSaver.from_conn_string(threads) as saver:
    agent.checkpointer = saver
    config = {"configurable": {"thread_id": "t"}}
    given = None if stop == "never" else {"task": task, "seed": 1}
    for state in agent.stream(given, config, stream_mode="values"):
        print(len(state.get("steps", ())), flush=True)
        if str(len(state.get("steps", ()))) == stop:
            time.sleep(600)  # here it is killed
"""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("scienceworld", marks=[pytest.mark.scienceworld, pytest.mark.slow]),
        pytest.param("alfworld", marks=[pytest.mark.alfworld, pytest.mark.slow]),
    ],
)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(environment, id of a held-out task, bank, the episode as it goes when nobody interferes)"""
    name = request.param
    type_, train, test, known = TASKS[name]
    with pytest.MonkeyPatch.context() as patch:
        if name == "alfworld":
            patch.setenv("ALFWORLD_DATA", str(request.getfixturevalue("alfworld_full")))
        else:
            pytest.importorskip("scienceworld")
        with create("environment", name) as environment:
            bank = Bank.create(tmp_path_factory.mktemp(name) / "bank")
            bank.add([play_expert(environment, task, seed=1) for task in islice(environment.tasks(train, [type_]), known)])
            task = next(environment.tasks(test, [type_])).id
            agent = build_agent(Sessions(lambda: environment), bank=bank)
            whole = agent.invoke({"task": task, "seed": 1})["trajectory"]
            assert whole["success"]
            assert len(whole["steps"]) > AT + 2
            yield name, task, bank, whole


def seen(trajectory: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["observation"], step["action"]) for step in trajectory["steps"]] + [(trajectory["final_observation"], "")]


def test_a_killed_thread_goes_on_to_the_same_end_and_forks(world: Any, tmp_path: Path) -> None:
    name, task, bank, whole = world
    threads = tmp_path / "threads.sqlite"
    command = [sys.executable, "-c", CHILD, name, task, str(bank.uri), str(threads)]
    with subprocess.Popen([*command, str(AT)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = next(line for line in child.stdout if line.strip() == str(AT))
        os.kill(child.pid, signal.SIGKILL)
        assert (int(told), child.wait(30)) == (AT, -signal.SIGKILL)
    resumed = subprocess.run([*command, "never"], capture_output=True, text=True, timeout=300, check=True)
    assert int(resumed.stdout.split()[-1]) == len(whole["steps"])

    agent = build_agent(name, bank=bank)
    config: Any = {"configurable": {"thread_id": "t"}}
    with SqliteSaver.from_conn_string(str(threads)) as saver:
        agent.checkpointer = saver
        ended = agent.get_state(config).values["trajectory"]
        assert seen(ended) == seen(whole)
        assert [ended[key] for key in ("score", "success", "ended")] == [whole[key] for key in ("score", "success", "ended")]
        # A person goes back to the last action but two and changes it: the environment is rebuilt by replay.
        past = [state for state in agent.get_state_history(config) if state.next == ("observe",) and state.values["action"]]
        earlier = past[2]
        fork = agent.update_state(earlier.config, {"action": "inventory"})
        other = agent.invoke(None, fork, context={"max_steps": len(whole["steps"])})["trajectory"]
        at = len(earlier.values["steps"])
        assert seen(other)[:at] == seen(whole)[:at]
        assert other["steps"][at]["action"] == "inventory"
        assert other["final_observation"] != whole["final_observation"]
        assert (other["score"], other["success"]) != (whole["score"], whole["success"])
        # The record of another version of the environment: the replay says where it disagrees, and the thread stays readable.
        steps = [dict(step) for step in earlier.values["steps"]]
        forged = agent.update_state(
            earlier.config, {"observation": "You are somewhere else.", "episode": "another"}, as_node="act"
        )
        broken = agent.invoke(None, forged)
        assert (broken["error"]["boundary"], f"at step {at}" in broken["error"]["message"]) == (EnvError.boundary, True)
        assert agent.get_state(config).values["steps"] == steps
