"""What worker processes gain: steps per second with two workers ÷ with one, and whether their memory stays flat.

    python benchmarks/parallel_episodes.py [--json] [--quick | --smoke] [--env NAME]… [--set NAME=VALUE]

By default an environment in pure Python (generated ALFWorld games) and one with a JVM (ScienceWorld).

The same episodes (the `case-based` model without memory, a fixed number of steps) are run with one worker and with two,
alternating. Time counts from the first finished episode, so that process start is left out on both sides. A JVM compiles its
own code on every core during its first seconds, so the second half of the episodes is counted by itself too; even then one
ScienceWorld worker keeps more than one core busy, which bounds what a second one can gain on two cores.

    ratio             over the second half of the episodes, when the workers are warm; aim: above 1.7
    ratio_whole       from the first finished episode on
    memory_growth     resident memory of the workers and their children (a JVM, say): at the end of 200 episodes ÷ after 100;
                      aim: about 1
"""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import Any

import psutil
from _memory import mebibytes
from _output import Figures, make_parser, name_values, sized, start

from exprag.runs import RunConfig, run
from exprag.trajectory import Trajectory


class Meter:
    """When each episode finished and how many steps it had; memory on the way."""

    def __init__(self) -> None:
        self.finished: list[tuple[float, int]] = []
        self.mebibytes: dict[int, float] = {}

    def __call__(self, done: int, total: int, episode: Trajectory | None) -> None:
        if episode is None:
            return
        self.finished.append((time.perf_counter(), len(episode.steps)))
        if done in (total // 2, total - 1):
            self.mebibytes[done] = mebibytes(psutil.Process().children(recursive=True))

    def steps_per_second(self, start: int) -> float:
        """Over the episodes after the one that finished as number `start`."""
        finished = self.finished[start:]
        return sum(steps for _, steps in finished[1:]) / (finished[-1][0] - finished[0][0])


def measure(env: str, options: dict[str, Any], episodes: int, rounds: int, memory_episodes: int) -> dict[str, Any]:
    warm: dict[int, list[float]] = {1: [], 2: []}
    whole: dict[int, list[float]] = {1: [], 2: []}
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
                meter = play(workers, episodes, f"{number}-{workers}")
                warm[workers].append(meter.steps_per_second(episodes // 2))
                whole[workers].append(meter.steps_per_second(0))
        half, end = play(2, memory_episodes, "memory").mebibytes.values()
    return {
        "environment": env,
        "episodes": episodes,
        "rounds": rounds,
        "ratio": _ratio(warm),
        "ratio_whole": _ratio(whole),
        "steps_per_second": {str(workers): round(statistics.median(speeds), 1) for workers, speeds in warm.items()},
        "memory_episodes": memory_episodes,
        "memory_growth": round(end / half, 3),
        "mebibytes": [round(half), round(end)],
    }


def _ratio(speeds: dict[int, list[float]]) -> float:
    return round(statistics.median(two / one for one, two in zip(speeds[1], speeds[2], strict=True)), 3)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--env", action="append", help="repeatable; default: alfworld-generated and scienceworld")
    parser.add_argument("--set", action="append", metavar="NAME=VALUE", help="option of the environments; repeatable")
    options = parser.parse_args()
    episodes, rounds, memory_episodes = sized(options, full=(120, 3, 200), quick=(60, 1, 40), smoke=(6, 1, 4))
    with Figures("parallel_episodes", options) as figures:
        for name in options.env or ["alfworld-generated", "scienceworld"]:
            figures.add(name, measure(name, name_values(options.set), episodes, rounds, memory_episodes), "ratio above 1.7")


if __name__ == "__main__":
    start(main)
