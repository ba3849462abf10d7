"""What the experience bank costs: one retrieval inside an episode, adding, and many small writes.

    python benchmarks/bank_latency.py [--json] [--quick]

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

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
            seen = ", ".join(f"a {draw.choice(OBJECTS)} {draw.randint(1, 4)}" for _ in range(draw.randint(1, 6)))
            steps.append(Step(observation=f"You arrive at {at}. On the {at}, you see {seen}.", action=f"go to {at}"))
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
    found = []
    for i in range(times):
        started = time.perf_counter()
        work(i)
        found.append((time.perf_counter() - started) * 1e3)
    return sorted(found)


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def retrieval(folder: Path, episodes: list[Trajectory], times: int) -> dict[str, Any]:
    """p50 and p95 in ms of one retrieval, static and dynamic, in a bank of these episodes."""
    bank = Bank.create(folder, strategies=("task", "trajectory"))
    bank.add(episodes)
    found: dict[str, Any] = {}
    for strategy in ("task", "trajectory"):
        retriever = Retriever(bank, strategy, k=2, where=Filter(types=tuple(VERBS), success=True))
        moments = [Moment(t.task, t.steps[:6], t.steps[6].observation) for t in episodes[:: max(1, len(episodes) // times)]]
        recalled = [retriever.retrieve(moment) for moment in moments[:5]]
        assert all(r and len(r.candidates) == 2 for r in recalled), "the benchmark's own episodes must be found"
        took = milliseconds(lambda i, r=retriever, m=moments: r.retrieve(m[i % len(m)]), times)
        found[strategy] = {
            "p50": round(statistics.median(took), 2),
            "p95": round(took[int(len(took) * 0.95)], 2),
            "min": round(took[0], 2),  # what it costs where nobody else wants the processor
        }
    return found


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
        rows_times.append(seconds(lambda w=writer, r=rows, p=parts: r.extend(w.rows(part, [TRUSTED] * len(part)) for part in p)))
        schema = bank.table.schema
        raw = lancedb.connect(str(folder / f"raw{i}")).create_table("rows", schema=schema)
        arrow = pa.Table.from_batches(rows)
        raw_times.append(seconds(lambda t=raw, a=arrow: t.add(a)))
        commit_times.append(seconds(lambda w=writer, r=rows: w.commit(r)))
        other = Bank.create(folder / f"whole{i}")
        whole_times.append(seconds(lambda b=other: b.add(episodes)))
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
        took: dict[str, list[float]] = {"many": [], "bulk": []}
        for text in texts:  # alternating, so that a busy machine weighs on both
            for name, bank in (("many", many), ("bulk", bulk)):
                took[name] += milliseconds(lambda _, b=bank, q=text: b.search(q, k=2), 1)
        return statistics.median(took["many"]), statistics.median(took["bulk"])

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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="smaller: within a minute")
    options = parser.parse_args()
    sizes, times, writes, repeats = ((1_000, 10_000), 40, 150, 2) if options.quick else ((1_000, 10_000), 200, 1_000, 5)
    episodes = list(trajectories(max(sizes)))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        result: dict[str, Any] = {"benchmark": "bank_latency", "quick": options.quick}
        result["retrieve_ms"] = {str(n): retrieval(folder / f"r{n}", episodes[:n], times) for n in sizes}
        result["ingest"] = ingest(folder, episodes[: 2_000 if options.quick else 10_000], repeats)
        result["small"] = small_writes(folder, episodes[: 1_000 + writes], writes, times)
    if options.json:
        print(json.dumps(result))
        return
    print("quick run" if options.quick else "full run")
    for name, value in result.items():
        print(f"{name}: {json.dumps(value)}")


if __name__ == "__main__":
    main()
