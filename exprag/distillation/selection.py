"""Stage A: successes and failures told apart, and what is left out, each with its reason (arXiv 2510.01375)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from exprag.distillation.config import DistillConfig
from exprag.trajectory import Trajectory

SUCCESS, FAILURE, LEFT_OUT = "success", "failure", "left out"


@dataclass(frozen=True)
class Verdict:
    """What an episode counts as, and why where it is left out."""

    outcome: str
    reason: str = ""


def judge(episode: Trajectory, config: DistillConfig) -> Verdict:
    """What an episode counts as."""
    if episode.ended == "error" or not episode.steps:
        return Verdict(LEFT_OUT, "broke off with an error" if episode.ended == "error" else "without a step")
    threshold = config.threshold
    if threshold is not None and episode.score is not None:
        solved: bool | None = episode.score >= threshold
    else:
        solved = episode.success
    if solved is None:
        return Verdict(LEFT_OUT, "of unknown outcome")
    reason = unfit(episode, config)
    if solved:
        return Verdict(LEFT_OUT, reason) if reason else Verdict(SUCCESS)
    return Verdict(LEFT_OUT, reason) if reason and config.filter_failures else Verdict(FAILURE)


def unfit(episode: Trajectory, config: DistillConfig) -> str:
    """Why an episode is not one to learn from; "" if it is."""
    invalid = sum(step.valid is False for step in episode.steps)
    if invalid > config.max_invalid:
        return f"more than {config.max_invalid} invalid actions"
    if repeats(episode) > config.max_repeats:
        return f"more than {config.max_repeats} repeated actions that change nothing"
    return ""


def repeats(episode: Trajectory) -> int:
    """How often an action was done again at an observation that it had not changed before."""
    after = [*(step.observation for step in episode.steps[1:]), episode.final_observation]
    idle: Counter[tuple[str, str]] = Counter()
    count = 0
    for step, text in zip(episode.steps, after, strict=False):
        pair = (step.observation, step.action)
        count += idle[pair] > 0
        idle[pair] += text == step.observation
    return count


def select(episodes: Sequence[Trajectory], config: DistillConfig) -> dict[str, Verdict]:
    """The verdict on each episode, by id."""
    return {episode.id: judge(episode, config) for episode in episodes}


def count(verdicts: dict[str, Verdict]) -> dict[str, int]:
    """How many there are of each outcome; those left out by reason."""
    return dict(Counter(f"{each.outcome}: {each.reason}" if each.reason else each.outcome for each in verdicts.values()))
