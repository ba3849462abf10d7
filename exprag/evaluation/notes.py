"""What a reader has to know about a comparison beside its numbers: what is missing, left out, or weaker than it looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from exprag.evaluation.metrics import Metrics, measure
from exprag.evaluation.results import RunResult

if TYPE_CHECKING:
    from exprag.evaluation.contrasts import Comparison


def notes_on(
    runs: Sequence[RunResult], comparisons: Sequence[Comparison], totals: Sequence[Metrics] | None = None
) -> list[str]:
    """A sentence for each fact, the arms' own first. `totals`: the metrics of the runs, where they are known already."""
    totals = totals or [measure(run.episodes) for run in runs]
    notes = [note for run, total in zip(runs, totals, strict=True) for note in _on_run(run, total)]
    notes += [note for comparison in comparisons for note in _on_comparison(comparison)]
    notes += _on_repetitions(comparisons)
    fingerprints = {episode.fingerprint for run in runs for episode in run.episodes if episode.fingerprint}
    if len(fingerprints) > len({episode.task.environment for run in runs for episode in run.episodes}):
        notes.append("The arms were played on different versions of the environment: their fingerprints differ.")
    if len(comparisons) > 1:
        notes.append(
            f"With {len(comparisons)} comparisons the p-values of the whole are also given after Holm's correction; intervals, "
            "and the figures of single task types, are not corrected."
        )
    return notes


def _on_run(run: RunResult, total: Metrics) -> Iterator[str]:
    if not total.n:
        yield f"{run.name} has no finished episode."
    if run.repeated:
        yield (
            f"{run.name}: episodes left out because the run already has one of the same task and seed: {run.repeated}. "
            "Two processes may have written into its folder."
        )
    if total.unknown:
        yield f"{run.name}: {total.unknown} of {total.n} outcomes are unknown; they count as not solved."
    if total.n and total.scored < total.n:
        yield f"{run.name}: {total.n - total.scored} of {total.n} episodes have no score; its mean leaves them out."
    if 0 < total.metered < total.n:
        missing = total.n - total.metered
        yield f"{run.name}: {missing} of {total.n} episodes have no token counts; the means leave them out."
    for boundary, count in total.errors.items():
        yield f"{run.name}: {count} of {total.n} episodes broke off with an error of the {boundary}."


def _on_comparison(comparison: Comparison) -> Iterator[str]:
    whole, name = comparison.total, f"{comparison.arm} − {comparison.baseline}"
    if whole.only_arm or whole.only_baseline:
        yield (
            f"{name}: episodes without a counterpart are in no difference: {whole.only_arm} only in {comparison.arm}, "
            f"{whole.only_baseline} only in {comparison.baseline}."
        )


def _on_repetitions(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """A sentence for the comparisons whose tasks were played several times, with the names of those of one size together."""
    names: dict[tuple[int, int], list[str]] = {}
    for comparison in comparisons:
        whole = comparison.total
        if whole.tasks < whole.paired.n:
            names.setdefault((whole.paired.n, whole.tasks), []).append(f"{comparison.arm} − {comparison.baseline}")
    for (pairs, tasks), of in names.items():
        yield (
            f"{', '.join(of)}: {pairs} pairs come from {tasks} tasks; intervals draw whole tasks, with all their repetitions "
            "(cluster bootstrap), and in the test whole tasks change sign."
        )
