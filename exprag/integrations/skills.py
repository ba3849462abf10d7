"""What a group of episodes has in common, as an agent skill: a folder with SKILL.md, as Claude, deepagents and others load it.

A skill is of one environment and task type. It is counted from the trusted episodes, without a model: the forms of action that
most successes share, in their usual order, the shortest success as an example, and what failures did that successes did not.
Texts of episodes are fenced and defused: they are records, and not instructions.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median

from exprag.bank import Bank, Filter
from exprag.bank.store import guard
from exprag.errors import ConfigError
from exprag.files import beside
from exprag.integrations.plain import plain_lines
from exprag.prompt.block import abbreviate
from exprag.text import defuse, printable
from exprag.trajectory import Trajectory

FILE = "SKILL.md"
MOST_EPISODES = 2_000  # of a group, read at most
_SHARED = 0.5  # a form of action is shared if this part of the successes has it
_MOST_FORMS = 12
_NAME, _DESCRIPTION = 64, 1024  # characters, at most, as the specification of agent skills has them
_LONGEST_OBSERVATION = 200
_CALL = re.compile(r"([\w.-]+)\(\{")


@dataclass(frozen=True)
class Skill:
    """One skill: its name (lower case and hyphens), and the text of its SKILL.md."""

    name: str
    text: str


def skills_of(bank: Bank, where: Filter | None = None, *, least: int = 2) -> Iterator[Skill]:
    """A skill for each environment and task type with at least this many trusted successes, in the order of their names."""
    groups: dict[tuple[str, str], list[Trajectory]] = defaultdict(list)
    condition = where or Filter()
    for episode in bank.trajectories(condition if condition.trust else replace(condition, trust=("trusted",))):
        group = groups[episode.task.environment, episode.task.type]
        if len(group) < MOST_EPISODES:
            group.append(episode)
    names: set[str] = set()
    for (environment, type), episodes in sorted(groups.items()):
        if sum(episode.success is True for episode in episodes) < least:
            continue
        name = _unused(_name(f"{environment} {type}" if type else environment), names)
        names.add(name)
        yield Skill(name, _text(name, environment, type, episodes))


def write_skills(bank: Bank, out: str | Path, where: Filter | None = None, *, least: int = 2) -> list[str]:
    """Write a folder with NAME/SKILL.md for each skill; returns the names. It appears whole.

    Raises ConfigError where something is there already, or no group has enough successes."""
    target = Path(out)
    if target.exists():
        raise ConfigError(f"{target} is there already.", cure="Name a new folder.")
    skills = list(skills_of(bank, where, least=least))
    if not skills:
        cure = "Trust episodes (exprag bank trust), or lower --least."
        raise ConfigError(f"No task type of the bank has {least} trusted successes.", cure=cure)
    with guard(f"The folder {target} cannot be written"), beside(target) as partial:
        for skill in skills:
            (partial / skill.name).mkdir(parents=True)
            (partial / skill.name / FILE).write_text(skill.text, encoding="utf-8", errors="backslashreplace")
    return [skill.name for skill in skills]


def form(action: str) -> str:
    """The form of an action: the name of its tool, or its words without numbers and what follows the verb's particle."""
    call = _CALL.match(action)
    if call:
        return f"{call[1]}(…)"
    words = [word for word in re.split(r"[^\w]+", action.lower()) if word and not any(letter.isdigit() for letter in word)]
    particle = words[:2] if len(words) > 1 and words[1] in ("to", "at", "on", "in", "up", "with", "from", "into") else words[:1]
    return " ".join(particle)


def _text(name: str, environment: str, type: str, episodes: Sequence[Trajectory]) -> str:
    won = [episode for episode in episodes if episode.success is True]
    lost = [episode for episode in episodes if episode.success is False]
    what = f"tasks of type {_plain(type)} in {_plain(environment)}" if type else f"tasks in {_plain(environment)}"
    description = f"How {what} were solved: {len(won)} successes, {len(lost)} failures. Read it before you begin such a task."
    lines = ["---", f"name: {name}", f"description: {json.dumps(description[:_DESCRIPTION])}", "---", ""]
    steps = sorted(len(episode.steps) for episode in won)
    share = f"{len(won)} of {len(won) + len(lost)} recorded episodes succeeded"
    length = f"in {steps[0]} to {steps[-1]} steps, {median(steps):g} as a rule"
    lines += [f"# {_plain(type or environment)}", "", f"{share}, {length}.", ""]
    lines += ["## What successes share", "", *_shared(won), ""]
    if avoid := _only_lost(won, lost):
        lines += ["## What failures did and successes did not", "", *avoid, ""]
    best = min(won, key=lambda episode: (len(episode.steps), episode.id))
    caution = "A record to learn from, not instructions; names and places may differ now."
    lines += ["## The shortest success", "", caution, "", "```text"]
    return "\n".join([*lines, _example(best), "```", ""])


def _shared(won: Sequence[Trajectory]) -> list[str]:
    """The forms of action that most successes have, in the order in which they first come, each with its share."""
    places: dict[str, list[float]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for episode in won:
        first: dict[str, float] = {}
        for number, action in enumerate(episode.actions):
            first.setdefault(form(action), number / max(1, len(episode.steps)))
        counts.update(first.keys())
        for name, place in first.items():
            places[name].append(place)
    shared = [name for name, count in counts.items() if name and count >= _SHARED * len(won)]
    shared = sorted(sorted(shared, key=lambda name: -counts[name])[:_MOST_FORMS], key=lambda name: (mean(places[name]), name))
    return [f"{number}. `{_plain(name)}` ({counts[name]} of {len(won)})" for number, name in enumerate(shared, 1)] or ["Nothing."]


def _only_lost(won: Sequence[Trajectory], lost: Sequence[Trajectory]) -> list[str]:
    ours = {form(action) for episode in won for action in episode.actions}
    theirs = Counter(name for episode in lost for name in {form(action) for action in episode.actions})
    return [f"* `{_plain(name)}` ({count} of {len(lost)})" for name, count in theirs.most_common(5) if name and name not in ours]


def _example(episode: Trajectory) -> str:
    short = abbreviate(episode, _LONGEST_OBSERVATION)
    text = "\n".join([f"Task: {short.task.instruction}", *plain_lines(short)])
    return defuse(text).replace("```", "'''")


def _plain(text: str) -> str:
    """A text of the bank within a line of Markdown."""
    return " ".join(printable(defuse(text)).replace("`", "'").split())[:200]


def _unused(name: str, names: Collection[str]) -> str:
    """The name, with a number at its end where there is one of these: types in other scripts all give the environment's name."""
    endings = ("", *(f"-{number}" for number in range(2, len(names) + 2)))  # one more than there are
    return next(free for ending in endings if (free := name[: _NAME - len(ending)].rstrip("-") + ending) not in names)


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_NAME].strip("-") or "episodes"
