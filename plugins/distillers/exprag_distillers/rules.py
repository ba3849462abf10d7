"""Texts of rules as items: normalised, flagged where they give an episode away, and with their origin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from exprag.items import ANSWER, INSTANCE, Item, ItemSource, normalised
from exprag.trajectory import Trajectory, now
from exprag_distillers.forms import LONGEST, kind_of, words

_NUMBERED = re.compile(r"[a-z][a-z'-]* \d+", re.IGNORECASE)
_SHORT = 4  # characters below which a value may be any word


def make_items(
    texts: Iterable[str],
    episodes: Sequence[Trajectory],
    *,
    distiller: str,
    kind: str = "hint",
    model: str = "",
    others: Sequence[Trajectory] = (),
    longest: int | None = LONGEST,
) -> tuple[Item, ...]:
    """An item for each text that is not empty, nor longer than `longest` characters."""
    if not episodes:
        return ()
    first, rows = episodes[0].task, []
    lines = {normalised(text) if longest else text.strip(): None for text in texts}
    for line in lines:
        if line and (longest is None or len(line) <= longest):
            rows.append(
                Item(
                    kind=kind,
                    text=line,
                    environment=first.environment,
                    type=first.type if all(episode.task.type == first.type for episode in episodes) else "",
                    tags=tuple(dict.fromkeys(filter(None, (episode.task.type for episode in episodes)))),
                    sources=tuple(ItemSource.of(episode) for episode in episodes),
                    distiller=distiller,
                    model=model,
                    created=now(),
                    flags=flags_of(line, episodes, others),
                )
            )
    return tuple(rows)


def flags_of(text: str, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = ()) -> tuple[str, ...]:
    """What in a text is of one episode alone: the name of an object instance, or the answer: a value by which a run that solved
    the task acted, and which neither the task nor a form of an action names."""
    line = f" {text.lower()} "
    flags = []
    if any(f" {name.lower()} " in line.replace(".", " ").replace(",", " ") for name in _instances(episodes)):
        flags.append(INSTANCE)
    keys = {episode.task.key for episode in episodes}
    solved = [run for run in (*episodes, *others) if run.success and run.task.key in keys]
    if any(answer in line for answer in _answers(solved)):
        flags.append(ANSWER)
    return tuple(flags)


def _instances(episodes: Sequence[Trajectory]) -> set[str]:
    texts = (text for episode in episodes for step in episode.steps for text in (step.observation, step.action))
    return {name for text in texts for name in _NUMBERED.findall(text)}


def _answers(runs: Sequence[Trajectory]) -> set[str]:
    """Ids and titles: values of a solving run's actions that hold a digit or are long, and that its task does not name."""
    answers = set()
    for run in runs:
        named = f" {' '.join(words(run.task.instruction))} "
        metadata = [str(value) for value in run.task.metadata.values() if isinstance(value, str)]
        for value in [*(part for action in run.actions for part in _values(action)), *metadata]:
            telling = len(value) >= _SHORT and (any(map(str.isdigit, value)) or len(words(value)) > _SHORT)
            if telling and kind_of(value) == value and f" {' '.join(words(value))} " not in named:
                answers.add(value.lower())
    return answers


def _values(action: str) -> list[str]:
    """What an action is about: all that follows its verb, without brackets."""
    return [part.strip(" []") for part in re.split(r"[\[(]|^\w+\s", action) if part.strip(" []")]
