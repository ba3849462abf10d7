"""Joins the shards of a run (`exprag.runs.shards`) into one run directory, as if one machine had played it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exprag.errors import RecordError, RunError
from exprag.files import beside, cannot_write, write_json
from exprag.logs import LOG
from exprag.runs.config import RunConfig, flat
from exprag.runs.directory import EPISODES, RunDirectory
from exprag.runs.object_store import url_of
from exprag.runs.readable import readable
from exprag.runs.shards import Part, read_share
from exprag.text import redact
from exprag.trajectory import Trajectory, now


@dataclass(frozen=True)
class MergeReport:
    """What was joined."""

    path: Path
    shards: int
    episodes: int
    tasks: int
    """Of the whole run; those without an episode are described in `missing`, a line a shard."""
    missing: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    """Packages whose versions differ between the shards, which is allowed."""


@dataclass(frozen=True)
class _Shard:
    folder: Path
    config: RunConfig
    part: Part
    share: dict[str, Any]
    versions: dict[str, Any]


def merge(shards: Sequence[str | Path], out: str | Path, *, partial: bool = False) -> MergeReport:
    """Write the shards' episodes into the new run directory `out`, whose configuration has no shard. It appears whole or not.

    Episodes are copied line for line: first those of shard 1, then of shard 2, and so on. `partial` allows tasks that have no
    episode; the run that comes out is continued like any other. Raises RunError where the shards are not of one run (another
    configuration, list of tasks or environment), where a shard or a task is there twice, where a task has no episode, and where
    something lies at `out`. Shards may be URLs of object storage, `out` may not.
    """
    if url := url_of(out):
        raise RunError(f"{url} is not a folder.", cure="Choose a folder for --out.")
    target = Path(out).expanduser()
    parts = sorted((_read(readable(folder)) for folder in shards), key=lambda shard: shard.part)
    _check(parts)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise RunError(f"{target} exists already.", cure="Choose another --out.")
        with beside(target) as folder:
            folder.mkdir()
            report = _write(parts, folder, target)
            if report.missing and not partial:
                raise RunError(
                    f"{report.tasks - report.episodes} of {report.tasks} tasks have no episode: {'; '.join(report.missing)}.",
                    cure="Run the shards' own commands again, or allow it: --partial.",
                )
    except OSError as error:
        raise cannot_write(target, error) from error
    return report


def _read(folder: Path) -> _Shard:
    config = RunDirectory(folder).config(allow_code=True)  # only compared and copied: nothing that it names is run
    share = read_share(folder)
    if config.shard is None or config.shard != share["shard"]:
        raise RunError(f"{folder} is not a shard.", cure="A shard is played by exprag run --shard I/N.")
    try:
        versions = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'versions.json'} cannot be read: {error}.", cure="Start the shard again.") from error
    return _Shard(folder, config, Part.parse(config.shard), share, versions)


def _check(shards: Sequence[_Shard]) -> None:
    """Raises RunError where they are not shards of one run, or one is there twice."""
    if not shards:
        raise RunError("There are no shards to join.", cure="Name their run directories.")
    first, *others = shards
    for before, shard in zip(shards, others, strict=False):
        if shard.part == before.part:
            raise RunError(f"Shard {shard.config.shard} is there twice: {before.folder} and {shard.folder}.", cure="Name one.")
    for shard in others:
        where = f"{first.folder} and {shard.folder} are not shards of one run"
        if shard.part.total != first.part.total:
            raise RunError(f"{where}: one is of {first.part.total} shards, the other of {shard.part.total}.")
        if names := [name for name in shard.config.same_experiment(first.config) if name != "shard"]:
            one, other = flat(first.config.model_dump()), flat(shard.config.model_dump())
            differences = ", ".join(f"{name} ({one[name]!r}, {other[name]!r})" for name in names)
            raise RunError(f"{where}: they differ in {differences}.", cure="Play them with the same settings.")
        if shard.share["digest"] != first.share["digest"]:
            raise RunError(f"{where}: their machines list other tasks.", cure="Give all machines the same data.")
        if shard.versions.get("fingerprint") != first.versions.get("fingerprint"):
            raise RunError(f"{where}: their environments differ.", cure="Give all machines the same version and data.")


def _write(shards: Sequence[_Shard], folder: Path, target: Path) -> MergeReport:
    """Write the run directory into `folder`, which becomes `target`."""
    first = shards[0]
    missing, episodes = [], 0
    with open(folder / EPISODES, "wb") as lines, open(folder / LOG, "w", encoding="utf-8", errors="backslashreplace") as log:
        for shard in shards:
            owed: dict[str, None] = dict.fromkeys(shard.share["tasks"])
            for key, line in _episodes(shard.folder):
                if key not in owed:
                    reason = "there twice" if key in shard.share["tasks"] else f"not a task of shard {shard.config.shard}"
                    raise RunError(f"{shard.folder / EPISODES}: {key} is {reason}.", cure="Play this shard again.")
                del owed[key]
                episodes += 1
                lines.write(line)
            if owed:
                missing.append(f"{len(owed)} of shard {shard.config.shard}, the first {next(iter(owed))}")
            log.write(f"{now()} shard {shard.config.shard}, {redact(str(shard.folder))}:\n")
            if (shard.folder / LOG).exists():
                log.write((shard.folder / LOG).read_text(encoding="utf-8", errors="backslashreplace"))
        log.write(f"{now()} joined {len(shards)} shards\n")
        lines.flush()
        os.fsync(lines.fileno())
    numbers, total = {shard.part.number for shard in shards}, first.part.total
    if absent := [f"{number}/{total}" for number in range(1, total + 1) if number not in numbers]:
        missing.append(f"all of shard {', '.join(absent[:10])}{' …' if len(absent) > 10 else ''}")
    write_json(folder / "versions.json", first.versions | {"shards": {str(s.config.shard): s.versions for s in shards}})
    write_json(folder / "config.json", first.config.model_copy(update={"shard": None}).model_dump(mode="json"))
    differing = sorted({name for shard in shards for name in _differences(first.versions, shard.versions)})
    tasks = int(first.share["count"])
    return MergeReport(target, len(shards), episodes, tasks, tuple(missing) if episodes < tasks else (), tuple(differing))


def _episodes(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Task key and line of each whole episode."""
    if not (folder / EPISODES).exists():
        return
    with open(folder / EPISODES, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or not line.endswith(b"\n"):  # a kill tore it
                continue
            try:
                yield Trajectory.from_json(line).task.key, line
            except RecordError as error:
                raise RecordError(f"{folder / EPISODES}, line {number}: {error.message}", cure=error.cure) from error


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What the two say otherwise of Python and packages."""
    mine, theirs = ({"python": v.get("python")} | v.get("packages", {}) | v.get("plugins", {}) for v in (one, other))
    return [name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)]
