"""Search by vector at 1k to 1M trajectories: the bank against numpy brute force and faiss, on the same vectors.

    python benchmarks/search_scale.py [--json] [--quick | --smoke] [--rows N,…] [--dimensions D,…]

The vectors are made, not embedded: √n clusters of uneven size (Dirichlet) in 64 latent dimensions, as wide inside as apart,
projected to the full dimension with noise in every direction, and of length one. The nearest of 20,000 lies at a dot product
of 0.66 to a query, the tenth at 0.59; two at random at 0. Queries are drawn likewise and are not in the bank.

The bank is searched as an agent does (`Bank.search`, k = 10, trajectories returned), through the index that it chooses by
itself; numpy multiplies and partitions; faiss searches a flat index, and HNSW (32 links, efSearch 64) where there is memory for
both. The filter asks for one of eight types and success: a tenth of the rows; numpy and faiss are given it as a finished mask.
One thread each. Every query goes to all in turn, so that a busy machine weighs on all. Without faiss-cpu the comparison is with
numpy alone. The whole takes half an hour and 14 GB.

    p50, p95, min     milliseconds; the quickest says what it costs where nobody else wants the processor
    recall            of the ten best by exact dot product, how many are found (scores, so that equal ones count)
    build_s, mib      seconds to build, and growth of resident memory (for the bank also what it takes on disk)
    to_numpy, to_faiss_flat    p50 ÷ p50; below 1: the bank is faster
    aims              at 100k recall ≥ 0.99 and to_faiss_flat < 1; at 1M recall ≥ 0.95 and to_numpy < 0.1
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LANCE_CPU_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_name] = "1"  # before the libraries start

import gc
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from _output import Figures, make_parser, note, sized, start

from exprag import Step, Task, Trajectory
from exprag.bank import Bank, Filter

try:
    import faiss
except ModuleNotFoundError:  # the peer is optional
    faiss = None

K, TYPES, LATENT, CHUNK = 10, 8, 64, 50_000
AIMS = {100_000: "recall at least 0.99, to_faiss_flat below 1", 1_000_000: "recall at least 0.95, to_numpy below 0.1"}
FILTER = Filter(types=("type-3",), success=True)

Search = Callable[[int], list[float]]  # number of a query → scores of what is found


def clustered(n: int, dimension: int, queries: int, seed: int = 2025) -> tuple[np.ndarray, np.ndarray]:
    """float32 [n, dimension] and [queries, dimension], of length one; see above."""
    draw = np.random.default_rng(seed)
    clusters = max(16, math.isqrt(n))
    centres = draw.normal(size=(clusters, LATENT)).astype(np.float32)
    shares = draw.dirichlet(np.full(clusters, 0.7))
    projection = (draw.normal(size=(LATENT, dimension)) / math.sqrt(LATENT)).astype(np.float32)
    vectors = np.empty((n + queries, dimension), dtype=np.float32)
    for begin in range(0, len(vectors), CHUNK):
        part = vectors[begin : begin + CHUNK]
        latent = centres[draw.choice(clusters, len(part), p=shares)] + draw.standard_normal((len(part), LATENT), np.float32)
        np.matmul(latent, projection, out=part)
        part += 0.3 * draw.standard_normal(part.shape, np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors[:n], vectors[n:]


class Numbers:
    """An encoder whose texts are numbers of queries: what embedding would cost is left out."""

    def __init__(self, queries: np.ndarray) -> None:
        self.spec = f"numbers:{queries.shape[1]}"
        self.queries = queries

    def encode_query(self, text: str) -> np.ndarray:
        return self.queries[int(text)]

    def encode_keys(self, texts: Sequence[str]) -> np.ndarray:
        return self.queries[np.zeros(len(texts), dtype=int)]


def kinds(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Type and success of each row."""
    draw = np.random.default_rng(7)
    return draw.integers(0, TYPES, n), draw.random(n) < 0.8


def fill(bank: Bank, vectors: np.ndarray) -> float:
    """Write the rows as finished Arrow columns, a chunk a commit; returns seconds."""
    schema, (types, success) = bank.table.schema, kinds(len(vectors))
    task = Task(environment="house", id="NUMBER", split="train", type="TYPE", instruction="task NUMBER")
    whole = Trajectory(id="tNUMBER", task=task, steps=(Step(observation="A room.", action="look"),), success=True)
    payload = whole.to_json()
    seconds = 0.0
    for begin in range(0, len(vectors), CHUNK):
        part = vectors[begin : begin + CHUNK]
        rows = range(begin, begin + len(part))
        columns: dict[str, Any] = {
            "id": [f"t{i}" for i in rows],
            "task_key": [f"house:{i}" for i in rows],
            "task_id": [str(i) for i in rows],
            "type": [f"type-{types[i]}" for i in rows],
            "success": success[begin : begin + len(part)],
            "key_task": [f"task {i}" for i in rows],
            "payload": [
                payload.replace("NUMBER", str(i))
                .replace("TYPE", f"type-{types[i]}")
                .replace('"success":true', f'"success":{str(success[i]).lower()}')
                for i in rows
            ],
            "vector_task": pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), part.shape[1]),
        }
        same = {"environment": "house", "split": "train", "trust": "trusted", "source": "agent", "n_steps": 1, "score": None}
        arrays = [
            pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.array([same.get(field.name, "")] * len(part), field.type)
            for field in schema
        ]
        started = time.perf_counter()
        bank.table.add(pa.Table.from_arrays(arrays, schema=schema))
        seconds += time.perf_counter() - started
    return seconds


class Meter:
    """Resident memory and time of a piece of work."""

    def __init__(self) -> None:
        gc.collect()
        self.before, self.started = psutil.Process().memory_info().rss, time.perf_counter()

    def read(self) -> dict[str, float]:
        seconds = time.perf_counter() - self.started
        gc.collect()
        return {"build_s": round(seconds, 1), "mib": round((psutil.Process().memory_info().rss - self.before) / 2**20)}


def best(scores: np.ndarray) -> list[float]:
    k = min(K, len(scores))
    highest: list[float] = np.sort(scores[np.argpartition(scores, len(scores) - k)[len(scores) - k :]])[::-1].tolist()
    return highest


def contestants(
    folder: Path, vectors: np.ndarray, queries: np.ndarray
) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[Search, Search]]]:
    """By name: what was built, and how to search it, without and with the filter."""
    types, success = kinds(len(vectors))
    mask = (types == 3) & success
    about: dict[str, dict[str, Any]] = {"numpy": {}}
    searches: dict[str, tuple[Search, Search]] = {
        "numpy": (
            lambda i: best(vectors @ queries[i]),
            lambda i: best(np.where(mask, vectors @ queries[i], -np.inf)),
        )
    }

    def by_faiss(index: Any, parameters: Any) -> Search:
        def search(i: int) -> list[float]:
            scores: list[float] = index.search(queries[i : i + 1], K, params=parameters)[0][0].tolist()
            return scores

        return search

    if faiss is not None and psutil.virtual_memory().available > 4 * vectors.nbytes:
        selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        meter = Meter()
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        about["faiss_flat"] = meter.read()
        searches["faiss_flat"] = by_faiss(flat, None), by_faiss(flat, faiss.SearchParameters(sel=selector))
        meter = Meter()
        graph = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        graph.add(vectors)
        about["faiss_hnsw"] = meter.read()
        plain, filtered = (faiss.SearchParametersHNSW(efSearch=64, sel=sel) for sel in (None, selector))
        searches["faiss_hnsw"] = by_faiss(graph, plain), by_faiss(graph, filtered)
    bank = Bank.create(folder, Numbers(queries))
    meter = Meter()
    add_s = fill(bank, vectors)
    bank.optimize()  # compaction, full text, columns of filters, and the vector index if it pays
    about["bank"] = meter.read() | {"add_s": round(add_s, 1), "disk_mib": round((bank.info().size_bytes or 0) / 2**20)}
    (index,) = bank.index_report(sample=20)
    about["bank"] |= {"index": index.kind, "partitions": index.partitions}

    def by_bank(where: Filter | None) -> Search:
        return lambda i: [hit.score for hit in bank.search(str(i), k=K, where=where)]

    searches["bank"] = by_bank(None), by_bank(FILTER)
    return about, searches


def measure(rows: int, dimension: int, count: int) -> dict[str, Any]:
    vectors, queries = clustered(rows, dimension, count)
    with tempfile.TemporaryDirectory() as folder:
        about, searches = contestants(Path(folder) / "bank", vectors, queries)
        for number, part in enumerate(("all", "filtered")):
            latencies: dict[str, list[float]] = {name: [] for name in searches}
            recall: dict[str, list[float]] = {name: [] for name in searches}
            for i in range(count):
                right: list[float] = []
                for name, both in searches.items():
                    started = time.perf_counter()
                    scores = both[number](i)
                    latencies[name].append((time.perf_counter() - started) * 1e3)
                    right = right or [score for score in scores if np.isfinite(score)]  # numpy is the first
                    recall[name].append(sum(score >= right[-1] - 1e-5 for score in scores[: len(right)]) / len(right))
            for name in searches:
                times = sorted(latencies[name][2:])  # the first ones warm up
                about[name][part] = {
                    "p50": round(statistics.median(times), 2),
                    "p95": round(times[int(len(times) * 0.95)], 2),
                    "min": round(times[0], 2),
                    "recall": round(statistics.mean(recall[name]), 4),
                }
    for part in ("all", "filtered"):
        mine = about["bank"][part]
        for name in {"numpy", "faiss_flat"} & set(about):
            mine[f"to_{name}"] = round(mine["p50"] / about[name][part]["p50"], 3)
    return {"rows": rows, "dimension": dimension, "queries": count, **about}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", help="with commas between; default: 1000 to 1,000,000; with --quick to 100,000")
    parser.add_argument("--dimensions", help="with commas between; default: 384,1024; with --quick 384")
    parser.add_argument("--queries", type=int)
    options = parser.parse_args()
    rows = options.rows or sized(options, full="1000,10000,100000,1000000", quick="1000,10000,100000", smoke="300")
    dimensions = options.dimensions or sized(options, full="384,1024", quick="384", smoke="16")
    queries = options.queries or sized(options, full=100, quick=100, smoke=5)
    if faiss is None:
        note("faiss is not installed: compared with numpy alone (pip install faiss-cpu).")
    else:
        faiss.omp_set_num_threads(1)
    with Figures("search_scale", options) as figures:
        for dimension in map(int, dimensions.split(",")):
            for count in map(int, rows.split(",")):
                figures.add(f"{count} x {dimension}", measure(count, dimension, queries), AIMS.get(count, ""))


if __name__ == "__main__":
    start(main)
