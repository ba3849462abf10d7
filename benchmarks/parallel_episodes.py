"""What worker processes gain: steps per second with two workers ÷ with one, and whether their memory stays flat.

    python benchmarks/parallel_episodes.py [--json] [--quick] [--env scienceworld] [--set NAME=VALUE]

The same episodes (the `recall` model without memory, a fixed number of steps) are run with one worker and with two,
alternating; time counts from the first finished episode, so that process start is left out on both sides. Memory is that of
the workers and their children (a JVM, say), after the first tenth of the episodes and at the end.

    ratio           aim: above 1.7
    memory_growth   resident memory at the end ÷ after the first tenth: aim about 1
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from typing import Any

import psutil

from exprag.cli.run import _options
from exprag.runs import RunConfig, run
from exprag.trajectory import Trajectory


class Meter:
    """Steps per second after the first finished episode, and memory on the way."""

    def __init__(self) -> None:
        self.started = self.ended = 0.0
        self.steps = 0
        self.mebibytes: list[float] = []

    def __call__(self, done: int, total: int, episode: Trajectory | None) -> None:
        if episode is None:
            return
        self.ended = time.perf_counter()
        if not self.started:
            self.started = self.ended
        else:
            self.steps += len(episode.steps)
        if done % max(1, total // 20) == 0 or done in (total // 10, total - 1):
            children = psutil.Process().children(recursive=True)
            self.mebibytes.append(sum(_resident(child) for child in children) / 2**20)

    @property
    def steps_per_second(self) -> float:
        return self.steps / (self.ended - self.started)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def measure(env: str, options: dict[str, Any], quick: bool) -> dict[str, Any]:
    episodes, rounds, memory_episodes = (12, 1, 30) if quick else (40, 3, 200)
    speeds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:

        def play(workers: int, limit: int, name: str) -> Meter:
            config = RunConfig.make(
                environment=env,
                environment_options=options,
                split="train",
                shuffle=True,
                limit=limit,
                max_steps=20,
                workers=workers,
            )
            meter = Meter()
            run(config, f"{folder}/{name}", progress=meter)
            return meter

        for number in range(rounds):
            for workers in (1, 2) if number % 2 else (2, 1):
                speeds[workers].append(play(workers, episodes, f"{number}-{workers}").steps_per_second)
        memory = play(2, memory_episodes, "memory").mebibytes
    ratios = [two / one for one, two in zip(speeds[1], speeds[2], strict=True)]
    return {
        "environment": env,
        "episodes": episodes,
        "rounds": rounds,
        "ratio": round(statistics.median(ratios), 3),
        "ratio_aim": 1.7,
        "steps_per_second": {str(workers): round(statistics.median(found), 1) for workers, found in speeds.items()},
        "memory_episodes": memory_episodes,
        "memory_growth": round(memory[-1] / memory[1], 3),
        "mebibytes": [round(memory[1]), round(memory[-1])],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--env", default="scienceworld")
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    result = {"quick": args.quick, **measure(args.env, _options(args.set), args.quick)}
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
