"""Statistics of values that come in clusters: several seeds or repetitions of one task.

Repetitions of a task resemble each other, so they are not as many observations as there are of them. Whole tasks are drawn, with
all their repetitions (the cluster bootstrap: Field & Welsh, J. R. Stat. Soc. B 69:369-390, 2007; Cameron, Gelbach & Miller, Rev.
Econ. Stat. 90:414-427, 2008), and in tests whole tasks change sign. With one repetition of each task this is the ordinary
bootstrap (Efron & Tibshirani 1993, chapter 13), and the test is McNemar's.

Pure functions of arrays; deterministic, because the draws come from a fixed seed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 10_000
MANY, RESAMPLES_OF_MANY = 1_000, 2_000
"""Beyond this many tasks the bootstrap draws this many resamples: the interval is narrow, and its limits vary little."""
SEED = 2025
_BATCH = 2_000_000  # numbers drawn at once: bounds the memory
_KEPT = 10_000_000  # the largest table of draws that is remembered: bytes


def number(names: Sequence[Hashable]) -> np.ndarray:
    """int [n]: names as numbers in order of first appearance."""
    import numpy as np

    numbers: dict[Hashable, int] = {}
    return np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), dtype=np.int64, count=len(names))


def limits_of_means(
    values: np.ndarray, tasks: Sequence[Hashable], confidence: float = 0.95
) -> list[tuple[float, float] | None]:
    """The percentile limits of the mean of each column of `values`, float [n, m], where NaN stands for no value.

    `tasks` names the task of each row. None for a column of fewer than two tasks, or in which all tasks have the same mean: the
    bootstrap of those would be a point, which claims a certainty that they do not give. One set of draws serves all columns.
    """
    import numpy as np

    if len(tasks) != len(values):
        raise ValueError(f"{len(values)} values, but {len(tasks)} task names")
    columns = values.shape[1]
    if not len(values):
        return [None] * columns
    of_row = number(tasks)
    size = int(of_row.max()) + 1
    there = ~np.isnan(values)
    sums, counts = np.zeros((size, columns)), np.zeros((size, columns))
    np.add.at(sums, of_row, np.where(there, values, 0.0))
    np.add.at(counts, of_row, there)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
    varied = [column for column in range(columns) if len(set(means[~np.isnan(means[:, column]), column].tolist())) > 1]
    result: list[tuple[float, float] | None] = [None] * columns
    if not varied:
        return result
    drawn = _resample(size, sums[:, varied], counts[:, varied])
    tail = 50 * (1 - confidence)
    limits = np.nanpercentile(drawn, [tail, 100 - tail], axis=0)
    for column, low, high in zip(varied, *limits, strict=True):
        result[column] = (float(low), float(high))
    return result


def sign_test(differences: Sequence[int], tasks: Sequence[Hashable]) -> float:
    """Exact two-sided p-value of whole-number differences under "either sign of a task's sum was as likely" (Fisher 1935).

    Where each task has one pair and the differences are those of successes, this is McNemar's exact test. The distribution of the
    sum is counted, not drawn. 1.0 where no task differs.
    """
    import numpy as np

    if not len(differences):
        return 1.0
    sums = np.bincount(number(tasks), weights=np.asarray(differences, dtype=float)).round().astype(int)
    steps = np.abs(sums[sums != 0])
    if not len(steps):
        return 1.0
    chances = np.ones(1)  # of each sum from -s to s in steps of two
    for step in steps.tolist():
        padded = np.zeros(len(chances) + step)
        padded[: len(chances)] += 0.5 * chances
        padded[step:] += 0.5 * chances
        chances = padded
    total = int(steps.sum())
    far = np.abs(2 * np.arange(len(chances)) - total) >= abs(int(sums.sum()))
    return float(min(1.0, chances[far].sum()))


def _resample(size: int, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """float [resamples, m]: the mean of each column over tasks drawn with replacement; NaN where none of them has a value."""
    import numpy as np

    count = RESAMPLES if size <= MANY else RESAMPLES_OF_MANY
    tables = [_kept_draws(size, count)] if size * count <= _KEPT else _draws(size, count)
    columns, totals = sums.shape[1], np.concatenate([sums, counts], axis=1)
    parts = []
    rows = max(1, _BATCH // size)
    with np.errstate(invalid="ignore", divide="ignore"):
        for table in tables:
            for start in range(0, len(table), rows):
                drawn = table[start : start + rows].astype(float) @ totals
                parts.append(drawn[:, :columns] / drawn[:, columns:])
    return np.concatenate(parts)


@lru_cache(maxsize=8)
def _kept_draws(size: int, count: int) -> np.ndarray:
    """All draws at once: the task types of a report are often of one size."""
    import numpy as np

    return np.concatenate(list(_draws(size, count)))


def _draws(size: int, count: int) -> Iterator[np.ndarray]:
    """uint8 [rows, size], until there are `count` rows: how often each of `size` tasks was drawn in draws of `size` tasks.
    No count passes 255: with that many tasks or fewer it cannot, with more the chance is below 1e-500."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    rows = max(1, _BATCH // size)
    for start in range(0, count, rows):
        part = min(rows, count - start)
        places = rng.integers(0, size, size=(part, size)) + size * np.arange(part)[:, None]
        yield np.bincount(places.ravel(), minlength=part * size).reshape(part, size).astype(np.uint8)
