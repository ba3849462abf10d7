"""What is said of a run: its summary when it ends, its first prompt and estimate before it begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from exprag.cli.output import say
from exprag.cli.standing import duration
from exprag.errors import ConfigError

if TYPE_CHECKING:
    from exprag.runs.dry_run import DryRun
    from exprag.runs.engine import RunSummary
    from exprag.runs.totals import Totals


def say_summary(summary: RunSummary) -> None:
    """Episodes, tokens and time by boundary, errors, and why it stopped."""
    say(f"{summary.path}: {summary.episodes} episodes, {summary.successes} successful")
    for line in totals_lines(summary.totals, summary.cost):
        say(line)
    for boundary, count in summary.errors.items():
        what = f"{count} ended in an error of the {boundary}: see {summary.path / 'log.txt'}; "
        say(f"{what}fix it and run again with --retry-errors", "yellow")
    if summary.stopped:
        say(f"stopped: {summary.stopped}, tasks left: {summary.left}. The same command with more continues.", "yellow")


def totals_lines(totals: Totals, cost: float | None) -> list[str]:
    """Tokens with their cost, and seconds, by boundary; nothing where nothing was measured."""
    lines = []
    for name, tokens in totals.usage.items():
        cached = f" ({tokens.cached / tokens.prompt:.0%} from a cache)" if tokens.cached else ""
        counts = f"{tokens.prompt:,} tokens read{cached}, {tokens.completion:,} written in {tokens.calls:,} calls"
        lines.append(f"{name.replace('_', ' ')}: {counts}")
    if cost is not None:
        lines.append(f"cost: ${cost:,.4f}")
    seconds = {name: value for name, value in totals.seconds.items() if name != "episode"}
    if seconds:
        lines.append("time: " + ", ".join(f"{name} {duration(value)}" for name, value in seconds.items()))
    return lines


def show_dry_run(look: DryRun) -> None:
    """The first prompt exactly as it would be sent, then what the run would take."""
    if look.task is not None:
        say(f"task {look.task.key}", "bold")
    if look.rendered:
        say("as the model's chat template writes it:", "bold")
        say(look.rendered)
    else:
        for role, text in look.messages:
            say(f"[{role}]", "bold")
            say(text)
    if look.task is not None and not look.messages:
        say("The first prompt is not known before it is played: an expert or a graph of your own plays.")
    left = look.estimate.episodes
    say(f"{look.tasks} tasks, {look.tasks - left} played, {left} to play", "bold")
    if look.tokens:
        say(f"the first prompt has about {look.tokens:,} tokens")
    if text := look.estimate.text():
        say(text)
    say("Nothing was played, nothing was written.")


def error_limit(text: str | None) -> Callable[[int], float]:
    """Number of episodes → how many of them may end in errors, by --fail-on. Raises ConfigError where it is neither a number
    nor a share."""
    if text is None:
        return lambda episodes: 0
    number = text.strip().removesuffix("%").strip()
    try:
        value = float(number) if text.strip().endswith("%") else int(number)
    except ValueError:
        value = -1
    if not 0 <= value <= (100 if text.strip().endswith("%") else value):
        raise ConfigError(f"--fail-on takes a number of episodes or a share, as 3 or 5%; not {text!r}.")
    return lambda episodes: value * episodes / 100 if text.strip().endswith("%") else value
