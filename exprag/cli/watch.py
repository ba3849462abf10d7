"""`exprag watch`: how a run stands, from another terminal. It reads the run directory and writes nothing."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from exprag.cli.output import console, say
from exprag.cli.run_report import totals_lines
from exprag.cli.standing import Standing
from exprag.cli.words import path
from exprag.cli.words import plain as as_text
from exprag.errors import ConfigError
from exprag.logs import LOG
from exprag.runs import RunDirectory
from exprag.runs.lock import holder_of
from exprag.runs.readable import readable
from exprag.runs.totals import Prices, Totals, cost
from exprag.trajectory import now

_TAIL = 4096  # bytes from the end of the log in which its last line is looked for


def watch(
    run: Annotated[Path, path("Run directory, or its URL.")],
    *,
    once: Annotated[bool, Parameter(help="Say it once and end.")] = False,
    plain: Annotated[bool, Parameter(help="Lines for a log instead of a display that is drawn again.")] = False,
    every: Annotated[float, Parameter(help="Seconds between two looks.")] = 2.0,
) -> None:
    """See how a run stands: success with its interval, speed, tokens, cache hits, time left; until it ends."""
    if every <= 0:
        raise ConfigError(f"--every takes seconds above 0, not {every:g}.")
    directory = RunDirectory(readable(run))
    if once or plain or not console().is_terminal:
        _print(run, directory, once, every)
        return
    from rich.live import Live
    from rich.text import Text

    with Live(console=console(), auto_refresh=False, transient=False) as live:
        while True:
            lines, playing = look(directory)
            live.update(Text("\n").join(as_text(line) for line in lines), refresh=True)
            if not playing:
                return
            time.sleep(every)
            readable(run)


def _print(run: Path, directory: RunDirectory, once: bool, every: float) -> None:
    """The same as lines, one block for each change."""
    count = -1
    while True:
        lines, playing = look(directory)
        if len(directory.entries()) != count or not playing:
            count = len(directory.entries())
            for line in lines if once else [now(), *lines]:
                say(line)
        if once or not playing:
            return
        time.sleep(every)
        readable(run)


def look(directory: RunDirectory) -> tuple[list[str], bool]:
    """What is to be said of the run now, and whether somebody plays there. Raises RunError where it is not a run directory."""
    config = directory.config(allow_code=True)  # only its fields are shown
    holder = holder_of(directory.path)  # before the episodes are read: one that ends meanwhile is looked at once more
    entries = directory.entries()
    whole, total = Totals.of(entries), _task_count(directory.path)
    recent, seconds = Totals(), 0.0
    if holder is not None:
        since = str(holder.get("since", ""))
        recent = Totals.of(entry for entry in entries if entry.created >= since)
        seconds = _seconds_since(since)
    state = f"playing, process {holder['pid']} on {holder['host']} since {holder['since']}" if holder else _ended(directory.path)
    standing = Standing(len(entries), total, whole, recent, seconds).text()
    player = "the environment's expert" if config.policy == "expert" else config.graph or config.model
    lines = [
        f"{config.name or directory.path.name}: {config.environment} {config.split}, {player}: {state}",
        f"{len(entries)}/{'?' if total is None else total} episodes{', ' if standing else ''}{standing}",
    ]
    lines += totals_lines(whole, cost(whole, Prices.of(config)))
    lines += [f"{count} ended in an error of the {boundary}" for boundary, count in whole.errors.items()]
    return lines, holder is not None


def _task_count(folder: Path) -> int | None:
    """How many tasks the run has; None where it is not written, by an older version."""
    try:
        count: Any = json.loads((folder / "versions.json").read_text(encoding="utf-8")).get("tasks")
    except (OSError, ValueError, AttributeError):
        return None
    return count if isinstance(count, int) else None


def _seconds_since(moment: str) -> float:
    try:
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _ended(folder: Path) -> str:
    """What the last line of the log says, where nobody plays."""
    try:
        with open(folder / LOG, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            last = file.read().decode("utf-8", "replace").strip().rpartition("\n")[2].partition(" ")[2]
    except OSError:
        last = ""
    return last if last.startswith(("finished", "stopped")) else "nobody plays here, and its last process did not end by itself"
