"""What a long run costs beside its environment and model: memory from the 100th to the 1,000th episode, and time for one.

    python benchmarks/run_overhead.py [--json] [--quick | --smoke]

The environment does nothing and the model is the case-based baseline without memory. The episodes are played eight at a time in
one process, which is never replaced, with the environments in another; and by one worker, which is replaced every 200 episodes.

    memory_growth         resident memory of the run's process and its children: at the last episode ÷ at the 100th (or the tenth
                          part), playing eight at a time; aim: at most 1.1
    memory_growth_worker  the same with a worker
    ms_per_episode        from the 100th episode to the last, playing eight at a time
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from _memory import mebibytes
from _output import Figures, make_parser, sized, start

from exprag.runs import RunConfig, run
from exprag.trajectory import Trajectory

STEPS = 3


class Meter:
    """Memory and time when episode number `first` finished, and at the end."""

    def __init__(self, first: int, last: int) -> None:
        self._numbers = (first, last)
        self.mebibytes: list[float] = []
        self.moments: list[float] = []

    def __call__(self, count: int, total: int, episode: Trajectory | None) -> None:
        if episode is not None and count in self._numbers:
            this = psutil.Process()
            self.mebibytes.append(mebibytes((this, *this.children(recursive=True))))
            self.moments.append(time.perf_counter())


def measure(folder: Path, count: int, **values: Any) -> tuple[float, float]:
    """(memory at the end ÷ at a tenth, milliseconds an episode in between)."""
    about = {"environment": "_trivial:Trivial", "environment_options": {"count": count}, "max_steps": STEPS, "workers": 1}
    meter = Meter(count // 10, count)
    run(RunConfig.make(**{**about, **values}), folder, progress=meter)
    milliseconds = 1000 * (meter.moments[1] - meter.moments[0]) / (count - count // 10)
    return meter.mebibytes[1] / meter.mebibytes[0], milliseconds


def main() -> None:
    options = make_parser(__doc__).parse_args()
    count = sized(options, full=1000, quick=300, smoke=20)
    with Figures("run_overhead", options) as figures, tempfile.TemporaryDirectory() as place:
        figures.add("episodes", count)
        growth, milliseconds = measure(Path(place) / "together", count, concurrency=8)
        figures.add("memory_growth", round(growth, 3), "at most 1.1")
        figures.add("ms_per_episode", round(milliseconds, 2))
        figures.add("memory_growth_worker", round(measure(Path(place) / "worker", count, concurrency=1)[0], 3), "at most 1.1")


if __name__ == "__main__":
    start(main)
