"""How alike two trajectories are as experience: the same type of task, about the same thing, and solved by the same plan."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from exprag.trajectory import Task, Trajectory

MEASURES = ("type", "object", "plan", "plan_overlap")
_ABOUT = re.compile(r"(?:go|goto|walk|look|examine|inventory|open|close|wait\d*|teleport|help|task|\d+)\b")
_WORD = re.compile(r"[a-z]+")


def plan(episode: Trajectory) -> tuple[str, ...]:
    """The sequence of actions on things: their first words, without going, looking, opening, closing and repetitions."""
    verbs: list[str] = []
    for action in episode.actions:
        words = action.lower().split()
        if words and not _ABOUT.match(action.lower()) and words[:1] != verbs[-1:]:
            verbs.append(words[0])
    return tuple(verbs)


def overlap(one: Sequence[str], other: Sequence[str]) -> float:
    """How much two plans have in common, in [0, 1]: twice the length of their longest common subsequence over both lengths."""
    if not one or not other:
        return float(not one and not other)
    lengths = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for index, name in enumerate(other, 1):
            before, lengths[index] = lengths[index], before + 1 if word == name else max(lengths[index], lengths[index - 1])
    return 2 * lengths[-1] / (len(one) + len(other))


def common_words(tasks: Iterable[Task]) -> dict[str, set[str]]:
    """By task type the words that stand in at least half of its instructions."""
    by_type: dict[str, set[str]] = defaultdict(set)
    for task in tasks:
        by_type[task.type].add(task.instruction.lower())
    common = {}
    for type_, instructions in by_type.items():
        counts = Counter(word for text in instructions for word in set(_WORD.findall(text)))
        common[type_] = {word for word, count in counts.items() if 2 * count >= len(instructions)}
    return common


def about(task: Task, common: Mapping[str, Collection[str]]) -> set[str]:
    """What the task is about: `object` of its metadata, else the words of its instruction that are rare within its type."""
    target = task.metadata.get("object")
    return {str(target)} if target else set(_WORD.findall(task.instruction.lower())) - set(common.get(task.type, ()))


def agreement(reference: Trajectory, others: Sequence[Trajectory], common: Mapping[str, Collection[str]]) -> dict[str, float]:
    """How well the best of the others fits the reference, by measure. A measure that says nothing about it is left out: the
    object where the instruction names none, the plan where the reference did not succeed.

        type, object, plan   1 where one of the others has the same, else 0
        plan_overlap         of the plan that is most alike, in [0, 1]
    """
    scores = {"type": float(any(other.task.type == reference.task.type for other in others))}
    if target := about(reference.task, common):
        scores["object"] = float(any(target & about(other.task, common) for other in others))
    if reference.success:
        own = plan(reference)
        scores["plan"] = float(any(plan(other) == own for other in others))
        scores["plan_overlap"] = max((overlap(own, plan(other)) for other in others), default=0.0)
    return scores
