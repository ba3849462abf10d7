"""What a run takes to know what is owed: seconds for a run directory of 100,000 episodes.

    python benchmarks/resume.py [--json] [--quick | --smoke]

A directory is filled with episodes of 20 steps that differ in task, id and outcome. Then what continuing a run does is timed in a
fresh `RunDirectory`: the tasks without an episode, the errors, the counts of the summary. It is compared with reading every
episode as a record (a thousandth of them is timed there, and the seconds multiplied).

    ratio_limit          seconds ÷ the limit of 2 s                                           aim: below 1
    ratio_reading        seconds ÷ reading every episode
    rebuild_seconds      the same where the index is missing: every line is parsed, none validated
    changed_seconds      the same after a kill between an episode and its line: checksums, nothing parsed
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from _output import Figures, make_parser, sized, start

from exprag.files import read_jsonl
from exprag.runs import RunDirectory
from exprag.runs.engine import summarise
from exprag.runs.episode_index import INDEX
from exprag.trajectory import EpisodeError, Step, Task, Trajectory, Usage

LIMIT = 2.0  # seconds
OBSERVATION = "You arrive at loc 12. On the countertop 1, you see a apple 2, a bread 1, a knife 3, and a vase 2."


def fill(directory: RunDirectory, count: int) -> None:
    """Write episodes that are alike but for task, id and outcome."""
    usage = Usage(prompt=1200, completion=12, cached=1100)
    steps = tuple(Step(observation=OBSERVATION, action=f"go to countertop {n}", usage=usage) for n in range(20))
    template = Trajectory(id="ID", task=Task(environment="bench", id="TASK"), steps=steps, success=True)
    error = EpisodeError(boundary="environment", message="The simulator died.")
    failure = template.model_copy(update={"success": False, "ended": "error", "error": error})
    good, bad = template.to_json(), failure.to_json()
    with open(directory.episodes_path, "w", encoding="ascii") as out:
        for number in range(count):
            line = bad if number % 50 == 0 else good
            out.write(line.replace('"ID"', f'"id-{number}"', 1).replace('"TASK"', f'"task-{number}"', 1) + "\n")


def owed(folder: Path, tasks: list[Task]) -> tuple[int, int]:
    """What continuing the run asks: (tasks without an episode, episodes that ended in an error)."""
    directory = RunDirectory(folder)
    missing = len(directory.missing(tasks))
    return missing, sum(summarise(directory).errors.values())


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(count: int, sample: int) -> dict[str, Any]:
    tasks = [Task(environment="bench", id=f"task-{number}") for number in range(count + 10)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        directory = RunDirectory(folder)
        fill(directory, count)
        rebuild = timed(lambda: owed(folder, tasks))
        directory.entries()
        directory._index.save()
        assert owed(folder, tasks) == (10, -(-count // 50))
        seconds = min(timed(lambda: owed(folder, tasks)) for _ in range(3))
        reading = timed(lambda: list(islice(read_jsonl(directory.episodes_path), sample))) * count / sample
        os.utime(directory.episodes_path)
        changed = timed(lambda: owed(folder, tasks))
        sizes = [os.path.getsize(path) / 2**20 for path in (directory.episodes_path, folder / INDEX)]
    return {
        "episodes": count,
        "mebibytes": [round(size, 1) for size in sizes],
        "seconds": round(seconds, 3),
        "ratio_limit": round(seconds / LIMIT, 3),
        "ratio_reading": round(seconds / reading, 5),
        "rebuild_seconds": round(rebuild, 2),
        "changed_seconds": round(changed, 2),
    }


def main() -> None:
    options = make_parser(__doc__).parse_args()
    count, sample = sized(options, full=(100_000, 1_000), quick=(20_000, 500), smoke=(200, 100))
    with Figures("resume", options) as figures:
        figures.extend(measure(count, sample), {"ratio_limit": "below 1"})


if __name__ == "__main__":
    start(main)
