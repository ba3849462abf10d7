"""Checkpoints: which are whole, and which one is best. The best is chosen by what it does on tasks, and copied to OUT/best.

Validation loss turns up long before success stops rising (arXiv 2603.18272, figures 3 and 4), so it chooses nothing here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exprag.errors import RunError
from exprag.files import cannot_write, write_json
from exprag.models.cards import CARD, Card
from exprag.training.sft.rollouts import Progress, Rollout, Sets, check_sets, play_checkpoint, read_rollouts, step_of

SELECTION = "selection.json"
_FOLDER = re.compile(r"checkpoint-\d+")
_TO_RESUME = ("optimizer.pt", "scheduler.pt", "scaler.pt", "trainer_state.json", "rng_state*.pth")


@dataclass(frozen=True)
class Selection:
    """The most successful checkpoint of a training."""

    chosen: Path
    """Its folder."""
    best: Path
    """Its copy, without what only a resumed training needs."""
    by: str
    """The set that decided."""
    rollouts: tuple[Rollout, ...]
    """All checkpoints on all sets, by set and step."""


def select_checkpoint(
    out: str | Path,
    sets: Sets,
    *,
    by: str | None = None,
    model_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Selection:
    """Play the checkpoint of every epoch on sets of tasks, and copy the most successful one to OUT/best.

    sets           a run configuration, or several by name; see `rollout_config` for one that plays as was trained. Their
                   `model` is the checkpoint
    by             the set that decides; default: the first. Equal success: fewer steps, then the earlier one
    model_options  options of `hf:`, such as max_new_tokens or base

    Writes OUT/selection.json and the results into the cards. Raises RunError where OUT has no whole checkpoint, ConfigError
    for an unknown set, RunError where the disk is full, and what `exprag.runs.run` raises.
    """
    out = Path(out).expanduser()
    by_name = check_sets(sets, by)
    by = by or next(iter(by_name))
    checkpoints = epoch_checkpoints(out)
    if not checkpoints:
        raise RunError(f"{out} has no whole checkpoint.", cure="Give the folder that `exprag train` wrote (--out).")
    for checkpoint in checkpoints:
        play_checkpoint(checkpoint, by_name, model_options=model_options, progress=progress)
    rollouts = [rollout for rollout in read_rollouts(out) if rollout.set in by_name]
    best = min((r for r in rollouts if r.set == by), key=lambda r: (-r.success, r.steps, r.step))
    _copy_best(out / best.checkpoint, out / "best")
    selection = {"by": by, "chosen": best.checkpoint, "rollouts": [asdict(rollout) for rollout in rollouts]}
    write_json(out / SELECTION, selection)
    return Selection(out / best.checkpoint, out / "best", by, tuple(rollouts))


def whole_checkpoints(out: str | Path) -> list[Path]:
    """The checkpoints that were written to their end, by step."""
    return sorted((p.parent for p in Path(out).glob(f"checkpoint-*/{CARD}") if _FOLDER.fullmatch(p.parent.name)), key=step_of)


def half_checkpoints(out: str | Path) -> list[Path]:
    """The checkpoints that a kill or a full disk left unfinished."""
    return [p for p in Path(out).glob("checkpoint-*") if _FOLDER.fullmatch(p.name) and not (p / CARD).is_file()]


def epoch_checkpoints(out: str | Path) -> list[Path]:
    """The whole checkpoints at the end of an epoch."""
    return [folder for folder in whole_checkpoints(out) if float(Card.read(folder).epoch).is_integer()]


def _copy_best(checkpoint: Path, best: Path) -> None:
    """The adapter without what only a resumed training needs; the former best stays until the new one is whole."""
    partial = best.with_name(".best.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed call left
    try:
        shutil.copytree(checkpoint, partial, ignore=shutil.ignore_patterns(*_TO_RESUME))
        shutil.rmtree(best, ignore_errors=True)
        partial.rename(best)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise cannot_write(best, error) from error
