"""How well many episodes keep a slow server busy: the time of 64 episodes side by side ÷ that of their answers alone.

    python benchmarks/concurrency.py [--json] [--quick | --smoke] [--at-once N]

The server is a real one on loopback, in a process of its own, that takes 200 ms for each answer and any number of them at once.
The environment does nothing, in a process of its own as in a run. One process plays all episodes; the first one, which starts
what is needed, is left out on both sides. The ideal is the time that a single episode's answers take, times the rounds of
`--at-once` episodes that 64 make.

    ratio            ideal ÷ measured; aim: at least 0.9
    ms_per_step      what the process computes for one step, all episodes together
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from _output import Figures, make_parser, sized, start

from exprag.runs import RunConfig, choose_tasks
from exprag.runs.player import AgentPlayer, make_environment
from exprag.runs.worker import SWITCH_SECONDS

SECONDS = 0.2


def measure(url: str, episodes: int, at_once: int, steps: int) -> dict[str, Any]:
    """Play the episodes and compare with the ideal."""
    config = RunConfig.make(
        environment="_trivial:Trivial",
        model=f"openai:m?base_url={url}",
        concurrency=at_once,
        workers=1,
        limit=episodes + 1,
        max_steps=steps,
    )
    tasks = choose_tasks(make_environment(config), config)
    player = AgentPlayer(config)
    sys.setswitchinterval(SWITCH_SECONDS)  # as in the process of a run
    try:
        player.play(tasks[0])
        began, computed = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(at_once) as threads:
            trajectories = list(threads.map(player.play, tasks[1:]))
        seconds, computed = time.perf_counter() - began, time.process_time() - computed
    finally:
        player.close()
    count = sum(len(trajectory.steps) for trajectory in trajectories)
    if count != episodes * steps:
        raise SystemExit(f"{count} of {episodes * steps} steps were played: {trajectories[0].error}")
    ideal = -(-episodes // at_once) * steps * SECONDS
    return {"ratio": round(ideal / seconds, 3), "seconds": round(seconds, 2), "ms_per_step": round(1000 * computed / count, 2)}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--at-once", type=int, default=16, help="episodes side by side")
    options = parser.parse_args()
    episodes, steps = sized(options, full=(64, 20), quick=(64, 5), smoke=(4, 2))
    at_once = min(options.at_once, episodes)
    command = [sys.executable, str(Path(__file__).with_name("_slow_server.py")), str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, Figures("concurrency", options) as figures:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            figures.extend({"episodes": episodes, "at_once": at_once, "steps_of_each": steps})
            figures.extend(measure(url, episodes, at_once, steps), {"ratio": "at least 0.9"})
        finally:
            server.kill()


if __name__ == "__main__":
    start(main)
