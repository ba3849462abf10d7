"""How well many episodes keep a slow server busy: the time of 64 episodes side by side ÷ that of their answers alone.

    python benchmarks/concurrency.py [--json] [--quick | --smoke] [--at-once N] [--workers N]

The server is a real one on loopback, in a process of its own, that takes 200 ms for each answer and any number of them at once.
The environment does nothing, in a process of its own as in a run. The episodes are divided over the workers, each a process as
in a run; the first episode of each, which starts what is needed, is left out on both sides. The ideal is the time that a single
episode's answers take, times the rounds of `--at-once` episodes that 64 make.

    ratio            ideal ÷ measured; aim: at least 0.9
    ms_per_step      processor time of the processes that play, for one step; those of the environments are not in it
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from _output import Figures, make_parser, sized, start

from exprag.runs import RunConfig, choose_tasks
from exprag.runs.player import AgentPlayer, make_environment
from exprag.runs.worker import SWITCH_SECONDS

SECONDS = 0.2
_shared: dict[str, Any] = {}


def play_part(values: dict[str, Any], number: int, workers: int) -> tuple[float, float, float, int]:
    """Play every `workers`th episode from the `number`th on. Gives its begin and end, processor seconds and steps."""
    config = RunConfig.make(**values)
    warm_up, *tasks = choose_tasks(make_environment(config), config)
    player = AgentPlayer(config)
    sys.setswitchinterval(SWITCH_SECONDS)  # as in the process of a run
    try:
        player.play(warm_up)
        if "barrier" in _shared:
            _shared["barrier"].wait()
        began, computed = time.time(), time.process_time()
        with ThreadPoolExecutor(config.concurrency) as threads:
            trajectories = list(threads.map(player.play, tasks[number::workers]))
        ended, computed = time.time(), time.process_time() - computed
    finally:
        player.close()
    count = sum(len(trajectory.steps) for trajectory in trajectories)
    if count != (owed := len(trajectories) * values["max_steps"]):
        raise SystemExit(f"{count} of {owed} steps were played: {trajectories[0].error}")
    return began, ended, computed, count


def measure(url: str, episodes: int, at_once: int, steps: int, workers: int) -> dict[str, Any]:
    """Play the episodes and compare with the ideal."""
    values = {
        "environment": "_trivial:Trivial",
        "model": f"openai:m?base_url={url}",
        "concurrency": -(-at_once // workers),
        "workers": 1,
        "limit": episodes + 1,
        "max_steps": steps,
    }
    if workers == 1:
        parts = [play_part(values, 0, 1)]
    else:
        context = get_context("spawn")
        with ProcessPoolExecutor(workers, context, _keep_barrier, (context.Barrier(workers),)) as processes:
            parts = list(processes.map(play_part, [values] * workers, range(workers), [workers] * workers))
    begins, ends, computed, counts = zip(*parts, strict=True)
    seconds, ideal = max(ends) - min(begins), -(-episodes // at_once) * steps * SECONDS
    return {
        "ratio": round(ideal / seconds, 3),
        "seconds": round(seconds, 2),
        "ms_per_step": round(1000 * sum(computed) / sum(counts), 2),
    }


def _keep_barrier(barrier: Barrier) -> None:
    _shared["barrier"] = barrier


@contextmanager
def slow_server() -> Iterator[str]:
    """The address of a server that is ended afterwards."""
    command = [sys.executable, str(Path(__file__).with_name("_slow_server.py")), str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.kill()


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--at-once", type=int, default=16, help="episodes side by side, of all workers together")
    parser.add_argument("--workers", type=int, default=1, help="processes that play")
    options = parser.parse_args()
    episodes, steps = sized(options, full=(64, 20), quick=(64, 5), smoke=(4, 2))
    at_once = min(options.at_once, episodes)
    workers = min(options.workers, at_once)
    with slow_server() as url, Figures("concurrency", options) as figures:
        figures.extend({"episodes": episodes, "at_once": at_once, "workers": workers, "steps_of_each": steps})
        figures.extend(measure(url, episodes, at_once, steps, workers), {"ratio": "at least 0.9"})


if __name__ == "__main__":
    start(main)
