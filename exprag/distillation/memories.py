"""Memories side by side: what several distillers write from the same episodes, read at an equal token budget on the same tasks.

    OUT/base/                 the agent without memory on the tasks to write from, played once for all
    OUT/memories/NAME/        the distillation of one memory (`exprag.distillation.stages`), its own bank in it
    OUT/held-out/base, NAME   the arms on held-out tasks
    OUT/memories.json         the table: success, tokens, cost of writing, paired differences, and what stood in the prompts

Every arm excludes the task itself, and the arm without memory stands beside them. An interrupted comparison is continued.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exprag.distillation.config import DistillConfig
from exprag.distillation.outcome import ArmOutcome, aligned, outcomes
from exprag.distillation.playing import Bars
from exprag.distillation.stages import Distillation
from exprag.distillation.writing import read_calls
from exprag.evaluation.results import load_run
from exprag.files import copy_folder, write_json
from exprag.prompt.hint_block import RECORD, hint_ids

HEAD = ("memory", "success", "tokens an episode", "of these memory, a step", "tokens of writing", "items", "points from none")


@dataclass(frozen=True)
class MemoryOutcome:
    """One memory: how its arm did, what writing it has cost, and in how many of the episodes it stood in the prompt."""

    memory: str
    arm: ArmOutcome
    items: int = 0
    writing_tokens: int = 0
    reached: int = 0
    """Episodes in whose prompts an item stood."""
    memory_tokens: float = 0.0
    """Tokens of the items in each prompt, on average over the episodes."""

    def row(self) -> list[str]:
        """Its row of the table, in words."""
        cells = self.arm.row()
        numbers = [f"{self.memory_tokens:,.0f}", f"{self.writing_tokens:,}", str(self.items)]
        return [self.memory, cells[2], cells[5], *numbers, cells[-1]]


def compare_memories(
    config: DistillConfig,
    memories: Sequence[tuple[str, dict[str, Any]]],
    out: str | Path,
    say: Callable[[str], None] = print,
    bars: Bars | None = None,
) -> list[MemoryOutcome]:
    """Write each memory, (distiller, options), and play its arm; returns the outcomes, the arm without memory first.

    `config` says tasks, agent and budget (`run.agent.hint_budget`); its distiller is left out of account. Raises what
    `Distillation.play` raises.
    """
    place = Path(out).expanduser()
    common = Distillation(config, place, say, bars)
    common.play(("base",))
    common.play_arm("base", 0)
    for name, options in memories:
        changed = config.changed(distiller=name, distiller_options=options)
        one = Distillation(changed, place / "memories" / name, _named(say, name), bars)
        copy_folder(place / "base", one.out / "base")
        one.play(("base", "hints"))
        one.play_arm(name, config.k, place)
    arms = {arm.arm: arm for arm in outcomes(place / "held-out")}
    table = [MemoryOutcome("none", arms["base"]), *(_outcome(place, name, arms[name]) for name, _ in memories if name in arms)]
    write_json(place / "memories.json", [asdict(outcome) for outcome in table])
    return table


def lines_of(table: Sequence[MemoryOutcome]) -> list[str]:
    """The table as lines of text."""
    return aligned([HEAD, *(outcome.row() for outcome in table)])


def _outcome(place: Path, name: str, arm: ArmOutcome) -> MemoryOutcome:
    from exprag.bank import Bank
    from exprag.bank.items import Items

    folder = place / "memories" / name
    episodes = load_run(place / "held-out" / name).episodes
    records = [episode.provenance.extra.get(RECORD) for episode in episodes]
    sizes = [float(record["tokens"]) for record in records if isinstance(record, dict)]  # type: ignore[arg-type]
    return MemoryOutcome(
        name,
        arm,
        len(Items(Bank.open(folder / "bank"))),
        read_calls(folder / "distilled.jsonl").tokens,
        sum(bool(hint_ids(episode)) for episode in episodes),
        sum(sizes) / max(len(episodes), 1),
    )


def _named(say: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda line: say(f"{name}: {line}")
