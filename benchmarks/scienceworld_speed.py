"""ScienceWorld through exprag against the package's own `ScienceWorldEnv.step`, in one run on one machine.

    python benchmarks/scienceworld_speed.py [--json] [--quick | --smoke]

Both play the same recorded gold actions of the same variations, in turns: episode by episode, who begins alternates, and
each ratio is the median over the pairs; a first episode warms both up and is not counted. Then one environment plays on
over all task types, and the memory of its Java process is read after every episode; at the end no child process may be
left, alive or as a zombie.

Aims: above 4 without admissible actions, above 1.4 with them at every step, under 600 MB, no process left.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psutil
from _output import Figures, make_parser, sized, start

from exprag_envs.scienceworld import splits
from exprag_envs.scienceworld.environment import ScienceWorld

PAIRS = ("boil", "find-animal", "power-component", "lifespan-longest-lived", "test-conductivity", "chemistry-mix")
WARM_UP = 20  # steps of the first episode
AIMS = {"steps_ratio": "above 4", "steps_with_admissible_ratio": "above 1.4"}


def compare(ours: ScienceWorld, names: Sequence[str], steps: int, variations: int) -> dict[str, float]:
    """Ratios stock ÷ ours over the same episodes: on the clock (median), and in processor time (sums), which other people's
    work on the machine does not touch."""
    from scienceworld import ScienceWorldEnv

    stock = ScienceWorldEnv("", envStepLimit=10**6)
    java = stock._gateway.java_process
    rows: list[list[Seconds]] = []
    try:
        for name in names:
            for variation in splits.variations(name, "test")[:variations]:
                task = f"{name}/{variation}"
                ours.reset(options={"task": task})
                actions = list(ours.expert())[: steps if rows else WARM_UP]

                def plain(task: str = task, actions: list[str] = actions) -> Seconds:
                    ours.reset(options={"task": task})
                    return per_step(ours.step, actions, ours.jvm_pid)

                def listing(task: str = task, actions: list[str] = actions) -> Seconds:
                    def step(action: str) -> None:
                        ours.step(action)
                        ours.admissible_actions()

                    ours.reset(options={"task": task})
                    return per_step(step, actions, ours.jvm_pid)

                def theirs(name: str = name, variation: int = variation, actions: list[str] = actions) -> Seconds:
                    stock.load(name, variation)
                    stock.reset()
                    return per_step(stock.step, actions, java.pid)

                players: list[Callable[[], Seconds]] = [plain, listing, theirs]
                turn = len(rows) % 3
                seconds = {player: player() for player in players[turn:] + players[:turn]}
                rows.append([seconds[player] for player in players])
    finally:
        stock.close()
        java.wait(10)  # the package leaves a zombie otherwise
    rows = rows[1:]
    plain_s, listing_s, stock_s = (statistics.median(seconds.wall for seconds in column) for column in zip(*rows, strict=True))
    return {
        "steps_ratio": round(statistics.median(row[2].wall / row[0].wall for row in rows), 2),
        "steps_with_admissible_ratio": round(statistics.median(row[2].wall / row[1].wall for row in rows), 2),
        "cpu_ratio": round(sum(row[2].cpu for row in rows) / sum(row[0].cpu for row in rows), 2),
        "cpu_with_admissible_ratio": round(sum(row[2].cpu for row in rows) / sum(row[1].cpu for row in rows), 2),
        "steps_per_second": round(1 / plain_s, 1),
        "steps_with_admissible_per_second": round(1 / listing_s, 1),
        "stock_steps_per_second": round(1 / stock_s, 1),
        "pairs": len(rows),
    }


class Seconds(NamedTuple):
    """Of one step: on the clock, and of processor time, Python and Java together."""

    wall: float
    cpu: float


def per_step(step: Callable[[str], Any], actions: list[str], jvm: int | None) -> Seconds:
    processes = [psutil.Process(), psutil.Process(jvm)]

    def cpu() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    started, cpu_before = time.perf_counter(), cpu()
    for action in actions:
        step(action)
    return Seconds((time.perf_counter() - started) / len(actions), (cpu() - cpu_before) / len(actions))


def play_many(env: ScienceWorld, episodes: int) -> list[float]:
    """Megabytes resident in the Java process after each of many episodes, over all task types in turn, with the gold path
    computed (what asks most memory) and admissible actions listed."""
    names, megabytes = list(splits.TASKS), []
    for number in range(episodes):
        name = names[number % len(names)]
        env.reset(options={"task": f"{name}/{number // len(names)}"})
        for action in list(env.expert())[:5]:
            env.step(action)
            env.admissible_actions()
        megabytes.append(psutil.Process(env.jvm_pid).memory_info().rss / 2**20)
    return megabytes


def main() -> None:
    options = make_parser(__doc__).parse_args()
    tasks, steps = sized(options, full=(PAIRS, 20), quick=(PAIRS, 8), smoke=(PAIRS[2:4], 2))
    variations, episodes = sized(options, full=(3, 150), quick=(1, 5), smoke=(1, 1))
    with Figures("scienceworld_speed", options) as figures:
        with ScienceWorld() as ours:
            figures.extend(compare(ours, tasks, steps, variations), AIMS)
            memory = play_many(ours, episodes)
        figures.add("jvm_memory_mb_max", round(max(memory)), "below 600")
        figures.extend({"jvm_memory_mb_last": round(memory[-1]), "memory_episodes": episodes})
        time.sleep(0.5)
        figures.add("processes_left", len(psutil.Process().children(recursive=True)), "0")


if __name__ == "__main__":
    os.environ.pop("JAVA_TOOL_OPTIONS", None)  # the bound to be measured is our own
    start(main)
