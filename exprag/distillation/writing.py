"""Stage B: a distiller's items from failures, a call a line in distilled.jsonl, and then in the bank without near-duplicates.

A call whose line is whole is not made again: a killed stage goes on with the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exprag.contracts.distiller import Distillate, Distiller
from exprag.errors import ConfigError, PluginError, boundary
from exprag.faults import advise, name_component
from exprag.files import append_line, cut_torn_line
from exprag.items import Item, join
from exprag.trajectory import Trajectory

Progress = Callable[[int, int], None]
"""Called with (calls made, all of them)."""


@dataclass(frozen=True)
class Calls:
    """The calls of a stage: what was written and what was refused, in their order, and the tokens of the model."""

    items: tuple[Item, ...] = ()
    refusals: tuple[dict[str, Any], ...] = ()
    prompt: int = 0
    completion: int = 0
    replaced: tuple[str, ...] = ()
    """The ids of items in whose place later calls of a distiller that edits wrote others."""

    @property
    def tokens(self) -> int:
        return self.prompt + self.completion


def write_items(
    distiller: Distiller,
    episodes: Sequence[Trajectory],
    others: Sequence[Trajectory],
    path: Path,
    progress: Progress | None = None,
) -> Calls:
    """Have the distiller read the episodes, one at a time or those of a type together, and note each call in the file at `path`.

    `others` are given to a call as far as they are of its type. Raises PluginError naming a distiller that breaks its contract,
    ModelError where its model cannot be asked; what was written by then stays.
    """
    path.touch()
    cut_torn_line(path)
    lines = read_lines(path)
    finished = {tuple(line["episodes"]) for line in lines}
    calls = parts(distiller, episodes)
    for number, part in enumerate(calls, 1):
        ids = tuple(episode.id for episode in part)
        if ids not in finished:
            type_ = part[0].task.type
            alike = [other for other in others if other.task.type == type_ and other.id not in ids]
            before = [item for item in _current(lines) if item.type in ("", type_)]
            before = [item for item in before if item.usable] if distiller.edits else join(before)
            distillate = _call(distiller, part, alike, before)
            lines.append(_line(ids, distillate))
            if distiller.edits:
                lines[-1]["replaces"] = [item.id for item in before]
            append_line(path, json.dumps(lines[-1], ensure_ascii=True))
        if progress:
            progress(number, len(calls))
    return read_calls(path)


def parts(distiller: Distiller, episodes: Sequence[Trajectory]) -> list[list[Trajectory]]:
    """The episodes of each call."""
    if not distiller.together:
        return [[episode] for episode in episodes]
    by_type: dict[str, list[Trajectory]] = {}
    for episode in episodes:
        by_type.setdefault(episode.task.type, []).append(episode)
    return [by_type[type_] for type_ in sorted(by_type)]


def read_calls(path: Path) -> Calls:
    """What the file holds; nothing where there is none."""
    lines = read_lines(path)
    items = _current(lines)
    return Calls(
        tuple(items),
        tuple(refusal for line in lines for refusal in line["refusals"]),
        sum(line["usage"]["prompt"] for line in lines if line["usage"]),
        sum(line["usage"]["completion"] for line in lines if line["usage"]),
        tuple(sorted({id for line in lines for id in line.get("replaces", ())} - {item.id for item in items})),
    )


def _current(lines: Sequence[dict[str, Any]]) -> list[Item]:
    """The items of all calls, without those in whose place a later call wrote others."""
    items: list[Item] = []
    for line in lines:
        replaced = set(line.get("replaces", ()))
        items = [item for item in items if item.id not in replaced] + [Item.from_dict(item) for item in line["items"]]
    return items


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    try:
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    except ValueError as error:
        raise ConfigError(f"{path} is not what a distillation wrote: {error}.", cure="Choose another --out.") from error


def _call(distiller: Distiller, part: list[Trajectory], others: list[Trajectory], items: list[Item]) -> Distillate:
    name, cure = name_component("distiller", distiller), advise("distiller", distiller)
    with boundary(PluginError, f"The {name} raised", cure=cure):
        distillate = distiller.distill(part, others, items)
    if not isinstance(distillate, Distillate):
        raise PluginError(f"The {name} gave a {type(distillate).__name__}, not a Distillate.", cure=cure)
    return distillate


def _line(ids: tuple[str, ...], distillate: Distillate) -> dict[str, Any]:
    return {
        "episodes": list(ids),
        "items": [item.model_dump(mode="json") for item in distillate.items],
        "refusals": [{"episodes": list(refusal.episodes), "reason": refusal.reason} for refusal in distillate.refusals],
        "usage": distillate.usage.model_dump(mode="json") if distillate.usage else None,
    }
