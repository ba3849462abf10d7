"""What the experience bank costs: one retrieval inside an episode, adding, and many small writes.

    python benchmarks/bank_latency.py [--json] [--quick | --smoke]

Embedding is left out: the bank is lexical. The trajectories are made up from a seeded generator, of the size of household
text games (8-40 steps), 500 different tasks. Ratios compare within this one run:

    retrieve_ms            median of `Retriever.retrieve` with exclusion, environment, type and outcome filters (aim: < 10 at 10k)
    ingest_to_raw          seconds of LanceDB's bare `add` of the finished Arrow rows ÷ seconds of the bank's commit of the same
                           rows (lock, look-up of known ids, commit, indices) (aim: > 0.7)
    ingest_to_rows         the same, where the bare side too has to turn the trajectories into rows (JSON, keys)
    small_writes           search after many one-episode writes ÷ after one bulk write of the same (aim: about 1), as the bank
                           keeps itself, and after `optimize()`
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from _output import Figures, make_parser, sized, start

from exprag import Step, Task, Trajectory
from exprag.bank import Bank, Filter
from exprag.bank.filters import TRUSTED
from exprag.contracts.query_strategy import Moment
from exprag.retrieval import Retriever

OBJECTS = ("apple", "book", "bowl", "bread", "candle", "cup", "fork", "glass", "kettle", "knife", "lamp", "mug", "pan", "plate")
PLACES = ("armchair", "bed", "cabinet", "counter", "desk", "drawer", "fridge", "microwave", "shelf", "sink", "sofa", "stove")
VERBS = {"put": "", "clean": "clean ", "heat": "hot ", "cool": "cool "}


def trajectories(count: int, seed: int = 2025) -> Iterator[Trajectory]:
    """Made-up episodes; the same seed gives the same."""
    draw = random.Random(seed)
    for number in range(count):
        kind, thing, place = draw.choice(list(VERBS)), draw.choice(OBJECTS), draw.choice(PLACES)
        steps = []
        for _ in range(draw.randint(8, 40)):
            at = f"{draw.choice(PLACES)} {draw.randint(1, 9)}"
            things = ", ".join(f"a {draw.choice(OBJECTS)} {draw.randint(1, 4)}" for _ in range(draw.randint(1, 6)))
            steps.append(Step(observation=f"You arrive at {at}. On the {at}, you see {things}.", action=f"go to {at}"))
        task = Task(
            environment=draw.choice(["house", "lab"]),
            id=f"{kind}-{thing}-{place}-{number}",
            split="train",
            type=kind,
            instruction=f"put a {VERBS[kind]}{thing} in the {place}",
            group=f"{kind}-{thing}-{place}",
        )
        yield Trajectory(task=task, steps=steps, final_observation="You win.", success=draw.random() < 0.8, source="expert")


def milliseconds(work: Callable[[int], Any], times: int) -> list[float]:
    latencies = []
    for i in range(times):
        started = time.perf_counter()
        work(i)
        latencies.append((time.perf_counter() - started) * 1e3)
    return sorted(latencies)


def seconds(work: Callable[..., Any], *arguments: Any) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def retrieval(folder: Path, episodes: list[Trajectory], times: int) -> dict[str, Any]:
    """p50 and p95 in ms of one retrieval, static and dynamic, in a bank of these episodes."""
    bank = Bank.create(folder, strategies=("task", "trajectory"))
    bank.add(episodes)
    by_strategy: dict[str, Any] = {}
    for strategy in ("task", "trajectory"):
        retriever = Retriever(bank, strategy, k=2, where=Filter(types=tuple(VERBS), success=True))
        moments = [Moment(t.task, t.steps[:6], t.steps[6].observation) for t in episodes[:: max(1, len(episodes) // times)]]
        warm_up = [retriever.retrieve(moment) for moment in moments[:5]]
        assert all(r and len(r.candidates) == 2 for r in warm_up), "the benchmark's own episodes must be found"

        def retrieve(i: int, retriever: Retriever = retriever, moments: list[Moment] = moments) -> Any:
            return retriever.retrieve(moments[i % len(moments)])

        latencies = milliseconds(retrieve, times)
        by_strategy[strategy] = {
            "p50": round(statistics.median(latencies), 2),
            "p95": round(latencies[int(len(latencies) * 0.95)], 2),
            "min": round(latencies[0], 2),  # what it costs where nobody else wants the processor
        }
    return by_strategy


def ingest(folder: Path, episodes: list[Trajectory], repeats: int) -> dict[str, float]:
    """Ratios of LanceDB's bare add to the bank's, medians of alternating repeats."""
    import lancedb
    import pyarrow as pa

    raw_times, commit_times, whole_times, rows_times = [], [], [], []
    for i in range(repeats):
        bank = Bank.create(folder / f"bank{i}")
        writer = bank.writer()
        parts = [episodes[n : n + 256] for n in range(0, len(episodes), 256)]
        rows: list[pa.RecordBatch] = []
        batches = (writer.rows(part, [TRUSTED] * len(part)) for part in parts)
        rows_times.append(seconds(rows.extend, batches))
        schema = bank.table.schema
        raw = lancedb.connect(str(folder / f"raw{i}")).create_table("rows", schema=schema)
        arrow = pa.Table.from_batches(rows)
        raw_times.append(seconds(raw.add, arrow))
        commit_times.append(seconds(writer.commit, rows))
        other = Bank.create(folder / f"whole{i}")
        whole_times.append(seconds(other.add, episodes))
        assert len(bank) == len(other) == raw.count_rows() == len(episodes)
    raw_s, commit_s, whole_s, rows_s = (statistics.median(t) for t in (raw_times, commit_times, whole_times, rows_times))
    return {
        "rows": len(episodes),
        "raw_add_s": round(raw_s, 3),
        "bank_add_s": round(whole_s, 3),
        "ingest_to_raw": round(raw_s / commit_s, 2),
        "ingest_to_rows": round((raw_s + rows_s) / whole_s, 2),
    }


def small_writes(folder: Path, episodes: list[Trajectory], writes: int, times: int) -> dict[str, float]:
    """Search latency after one-episode writes on top of a bulk, and after one bulk write of all."""
    many, bulk = Bank.create(folder / "many"), Bank.create(folder / "bulk")
    many.add(episodes[:-writes])
    per_write = milliseconds(lambda i: many.add([episodes[len(episodes) - writes + i]]), writes)
    bulk.add(episodes)
    assert len(many) == len(bulk) == len(episodes)
    texts = [t.task.instruction for t in episodes[:times]]

    def compare() -> tuple[float, float]:
        latencies: dict[str, list[float]] = {"many": [], "bulk": []}
        for text in texts:  # alternating, so that a busy machine weighs on both
            for name, bank in (("many", many), ("bulk", bulk)):
                latencies[name].append(1e3 * seconds(partial(bank.search, text, k=2)))
        return statistics.median(latencies["many"]), statistics.median(latencies["bulk"])

    time.sleep(2.5)  # so soon after a commit every search looks for the next
    by_itself, bulk_ms = compare()
    many.optimize()
    time.sleep(2.5)
    optimized, bulk_again = compare()
    return {
        "writes": writes,
        "write_ms_p50": round(statistics.median(per_write), 2),
        "search_ms_after_bulk": round(bulk_ms, 2),
        "small_writes": round(by_itself / bulk_ms, 2),
        "small_writes_optimized": round(optimized / bulk_again, 2),
        "size_to_bulk": round((many.info().size_bytes or 0) / (bulk.info().size_bytes or 1), 2),
    }


def main() -> None:
    options = make_parser(__doc__).parse_args()
    sizes = sized(options, full=(1_000, 10_000), quick=(1_000, 10_000), smoke=(50, 100))
    times, writes, repeats = sized(options, full=(200, 1_000, 5), quick=(40, 150, 2), smoke=(10, 5, 1))
    rows, bulk = sized(options, full=(10_000, 1_000), quick=(2_000, 1_000), smoke=(50, 50))
    episodes = list(trajectories(max(sizes)))
    with tempfile.TemporaryDirectory() as place, Figures("bank_latency", options) as figures:
        folder = Path(place)
        for count in sizes:
            latencies = retrieval(folder / f"r{count}", episodes[:count], times)
            figures.add(f"retrieve_ms.{count}", latencies, "p50 below 10" if count == 10_000 else "")
        figures.add("ingest", ingest(folder, episodes[:rows], repeats), "ingest_to_raw above 0.7")
        figures.add("small_writes", small_writes(folder, episodes[: bulk + writes], writes, times), "small_writes about 1")


if __name__ == "__main__":
    start(main)
