"""Credit: in which episodes each hint was read, won and lost, and what became of the same tasks without it.

Where runs without hints played the same tasks, an episode is paired with theirs: a hint is blamed for a task only where the agent
without hints solved it, and praised only where it did not. This is association: hints that are read together share it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exprag.evaluation.statistics import Interval, Paired, paired_rates, wilson
from exprag.items import Item
from exprag.prompt.hint_block import RECORD, hint_ids
from exprag.trajectory import Trajectory


@dataclass(frozen=True)
class HintCredit:
    """A hint: read in `used` episodes, of which `won` were solved and `lost` were not. Over the `paired` tasks that an agent
    without hints played too: `gained` were solved with it alone, `spoilt` without it alone."""

    item: Item
    used: int = 0
    won: int = 0
    lost: int = 0
    paired: int = 0
    gained: int = 0
    spoilt: int = 0
    interval: Interval | None = None
    """The 95 % interval of the paired difference in success; without pairs, of the rate won / used."""

    @property
    def verdict(self) -> str:
        """helps or harms where the interval of the paired difference excludes zero, unclear where not, unused without an use."""
        if not self.used:
            return "unused"
        if not self.paired or self.interval is None:
            return "unpaired"
        return "helps" if self.interval.low > 0 else "harms" if self.interval.high < 0 else "unclear"


def review(items: Iterable[Item], episodes: Sequence[Trajectory]) -> list[HintCredit]:
    """The credit of each hint, those that harm first. `episodes` are of runs with hints and of runs without."""
    without: dict[tuple[str, int | None], bool] = {}
    for episode in episodes:
        if not hint_ids(episode) and RECORD not in episode.provenance.extra:
            without.setdefault((episode.task.key, episode.provenance.seed), episode.success is True)
    outcomes: dict[str, Counter[bool]] = defaultdict(Counter)
    pairs: dict[str, Counter[tuple[bool, bool]]] = defaultdict(Counter)
    for episode in episodes:
        won = episode.success is True
        base = without.get((episode.task.key, episode.provenance.seed))
        for id in dict.fromkeys(hint_ids(episode)):
            outcomes[id][won] += 1
            if base is not None:
                pairs[id][won, base] += 1
    credits = [_credit(item, outcomes[item.id], pairs[item.id]) for item in items]
    order = {"harms": 0, "unclear": 1, "unpaired": 2, "helps": 3, "unused": 4}
    return sorted(credits, key=lambda credit: (order[credit.verdict], -credit.used, credit.item.id))


def _credit(item: Item, counts: Counter[bool], pairs: Counter[tuple[bool, bool]]) -> HintCredit:
    table = Paired.of(pairs.elements())
    interval = paired_rates(table).interval if table.n else wilson(counts[True], counts.total())
    used = counts.total()
    return HintCredit(item, used, counts[True], counts[False], table.n, table.arm_only, table.baseline_only, interval)
