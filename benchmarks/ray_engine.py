"""What Ray costs a run: steps per second with `--engine ray` ÷ with the local engine, on the same cores.

    python benchmarks/ray_engine.py [--json] [--quick | --smoke] [--env NAME] [--set NAME=VALUE]

The same episodes (the `case-based` model without memory, a fixed number of steps) are played by two local workers, and by one
actor with two workers on a Ray of this machine, alternating. Time counts from the first finished episode, so that the start of
Ray and of processes is left out on both sides; it is given apart.

    ratio             median over the rounds; aim: at least 0.85
    start_seconds     from the call to the first finished episode; Ray itself has started before
    ray_seconds       the start of Ray
"""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import Any

from _output import Figures, make_parser, name_values, sized, start

from exprag.runs import RunConfig, run
from exprag.trajectory import Trajectory

ENGINES = ("local", "ray")


class Clock:
    """When the first and the last episode finished, and the steps after the first."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.first = self.last = 0.0
        self.steps = 0

    def __call__(self, count: int, total: int, episode: Trajectory | None) -> None:
        if episode is None:
            return
        self.last = time.perf_counter()
        if not self.first:
            self.first = self.last
        else:
            self.steps += len(episode.steps)

    @property
    def steps_per_second(self) -> float:
        return self.steps / (self.last - self.first)


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
        "start_seconds": {engine: round(statistics.median(c.first - c.began for c in clocks[engine]), 1) for engine in ENGINES},
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--env", default="alfworld-generated", help="environment (default: %(default)s)")
    parser.add_argument("--set", action="append", metavar="NAME=VALUE", help="option of the environment; repeatable")
    options = parser.parse_args()
    episodes, rounds = sized(options, full=(400, 5), quick=(100, 2), smoke=(4, 1))
    with Figures("ray_engine", options) as figures:
        began = time.perf_counter()
        from exprag.runs.ray_engine import connect

        connect()
        figures.add("ray_seconds", round(time.perf_counter() - began, 1))
        figures.extend(measure(options.env, name_values(options.set), episodes, rounds), {"ratio": "at least 0.85"})


if __name__ == "__main__":
    start(main)
