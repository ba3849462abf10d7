"""The tables of what was lost: the causes by arm, and the recalled trajectories that stand out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprag.evaluation.causes import CAUSES

if TYPE_CHECKING:
    from exprag.evaluation.credit import Credit
    from exprag.evaluation.report import Report

SHOWN = 4
"""Trajectories shown at each end."""
OFTEN = 3
"""Episodes that must have had a trajectory in context for it to be shown."""

Table = tuple[str, list[str], list[list[str]]]


def loss_tables(report: Report) -> list[Table]:
    """Title, head and rows of each; none where nothing was lost, or nothing recalled often enough."""
    return [table for table in (_causes(report), _credit(report)) if table[2]]


def _causes(report: Report) -> Table:
    head = ["cause", *(losses.arm for losses in report.losses)]
    rows = []
    for name, words in CAUSES.items():
        counts = [(len(losses.episodes.get(name, ())), losses.lost) for losses in report.losses]
        if any(count for count, _ in counts):
            rows.append([words, *(f"{count} ({100 * count / lost:.0f} %)" if count else "0" for count, lost in counts)])
    if rows:
        rows.append(["all", *(str(losses.lost) for losses in report.losses)])
    return "Why episodes were lost", head, rows


def standing_out(credit: list[Credit]) -> list[Credit]:
    """Of those recalled in `OFTEN` episodes or more the `SHOWN` furthest below and above what was expected, the worst first."""
    often = sorted((item for item in credit if item.recalled >= OFTEN), key=lambda item: (item.difference, item.id))
    below = [item for item in often if item.difference < 0][:SHOWN]
    above = [item for item in often if item.difference > 0][-SHOWN:]
    return below + above


def _credit(report: Report) -> Table:
    head = ["recalled trajectory", "arm", "episodes", "won", "lost", "expected", "verdict"]
    rows = [
        [item.id, item.arm, str(item.recalled), str(item.won), str(item.lost), f"{100 * item.expected:.0f} %", item.verdict]
        for item in standing_out(list(report.credit))
    ]
    return "Recalled trajectories furthest from what was expected of their tasks", head, rows
