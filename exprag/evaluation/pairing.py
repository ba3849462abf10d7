"""Which episodes of two runs belong together: those of the same task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from exprag.trajectory import Trajectory


@dataclass(frozen=True)
class Pairing:
    """Episodes of two arms that played the same task: (arm, baseline) pairs, and what each arm has alone."""

    pairs: tuple[tuple[Trajectory, Trajectory], ...] = ()
    only_arm: tuple[Trajectory, ...] = ()
    only_baseline: tuple[Trajectory, ...] = ()

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many of each. A part of a pairing with the sizes of the whole is the whole."""
        return len(self.pairs), len(self.only_arm), len(self.only_baseline)


def pair(arm: Sequence[Trajectory], baseline: Sequence[Trajectory]) -> Pairing:
    """Pair by task; where an arm played a task more than once, by task and seed (and order, if even the seed repeats)."""
    repeated = {key for episodes in (arm, baseline) for key, n in Counter(e.task.key for e in episodes).items() if n > 1}
    ours, theirs = _keyed(arm, repeated), _keyed(baseline, repeated)
    return Pairing(
        tuple((episode, theirs[key]) for key, episode in ours.items() if key in theirs),
        tuple(episode for key, episode in ours.items() if key not in theirs),
        tuple(episode for key, episode in theirs.items() if key not in ours),
    )


def _keyed(episodes: Sequence[Trajectory], repeated: set[str]) -> dict[tuple[object, ...], Trajectory]:
    by_key: dict[tuple[object, ...], Trajectory] = {}
    times: Counter[tuple[object, ...]] = Counter()
    for episode in episodes:
        key = episode.task.key
        with_seed = (key, episode.provenance.seed if key in repeated else None)
        by_key[(*with_seed, times[with_seed])] = episode
        times[with_seed] += 1
    return by_key
