"""What Ray costs a run: steps per second with `--engine ray` ÷ with the local engine, on the same cores.

    python benchmarks/ray_engine.py [--json] [--quick | --smoke] [--env NAME] [--set NAME=VALUE]

The same episodes (the `case-based` model without memory, a fixed number of steps) are played by two local workers, and by one
actor with two workers on a Ray of this machine, alternating. The second half of the episodes counts, when all workers are warm;
the start is given apart. Ray starts its processes with low priority (niceness 15), which counts where a machine does other work
too: here they have that of the local ones.

    ratio             median over the rounds; aim: at least 0.85
    start_seconds     from the call to the first finished episode; Ray itself has started before
    ray_seconds       the start of Ray
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import Any

from _output import Figures, make_parser, name_values, sized, start

from exprag.runs import RunConfig, run
from exprag.trajectory import Trajectory

ENGINES = ("local", "ray")


class Clock:
    """When each episode finished, and how many steps it had."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.finished: list[tuple[float, int]] = []

    def __call__(self, count: int, total: int, episode: Trajectory | None) -> None:
        if episode is not None:
            self.finished.append((time.perf_counter(), len(episode.steps)))

    @property
    def start_seconds(self) -> float:
        return self.finished[0][0] - self.began

    @property
    def steps_per_second(self) -> float:
        half = self.finished[len(self.finished) // 2 - 1 :]
        return sum(steps for _, steps in half[1:]) / (half[-1][0] - half[0][0])


def measure(env: str, options: dict[str, Any], episodes: int, rounds: int) -> dict[str, Any]:
    clocks: dict[str, list[Clock]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for engine in ENGINES if number % 2 else reversed(ENGINES):
                config = RunConfig.make(
                    environment=env,
                    environment_options=options,
                    split="train",
                    shuffle=True,
                    limit=episodes,
                    max_steps=20,
                    engine=engine,
                    actors=1,
                )
                clock = Clock()
                run(config, f"{folder}/{number}-{engine}", progress=clock)
                clocks[engine].append(clock)
    speeds = {engine: [clock.steps_per_second for clock in clocks[engine]] for engine in ENGINES}
    return {
        "environment": env,
        "episodes": episodes,
        "rounds": rounds,
        "ratio": round(statistics.median(ray / local for ray, local in zip(speeds["ray"], speeds["local"], strict=True)), 3),
        "steps_per_second": {engine: round(statistics.median(speeds[engine]), 1) for engine in ENGINES},
        "start_seconds": {engine: round(statistics.median(c.start_seconds for c in clocks[engine]), 1) for engine in ENGINES},
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--env", default="alfworld-generated", help="environment (default: %(default)s)")
    parser.add_argument("--set", action="append", metavar="NAME=VALUE", help="option of the environment; repeatable")
    options = parser.parse_args()
    episodes, rounds = sized(options, full=(400, 5), quick=(100, 2), smoke=(4, 1))
    with Figures("ray_engine", options) as figures:
        began = time.perf_counter()
        os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's own spelling, read when it is started
        from exprag.runs.ray_engine import connect

        connect()
        figures.add("ray_seconds", round(time.perf_counter() - began, 1))
        figures.extend(measure(options.env, name_values(options.set), episodes, rounds), {"ratio": "at least 0.85"})


if __name__ == "__main__":
    start(main)
