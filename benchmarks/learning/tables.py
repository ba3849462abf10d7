"""Tables of who won which game: the ones in docs/evidence.md, from outcomes.csv (see results.py).

    python benchmarks/learning/tables.py [FILE.csv ...]          [docs/evidence/*.csv]

Success by arm and seed, for the halves of the paper and the hard types apart, with Wilson's 95 % intervals; the difference to the
adapter that was trained without memory, paired by game, with Newcombe's; and the means of arms with several seeds, with bootstrap
intervals that draw games with all their seeds. Files of the same games are joined.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from exprag.evaluation.contrasts import success_difference
from exprag.evaluation.statistics import Difference, Paired, paired_means, paired_rates, wilson

DATA = Path(__file__).resolve().parents[2] / "docs" / "evidence"
SHORT = {
    "look_at_obj_in_light": "look",
    "pick_and_place_simple": "place",
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
    "pick_two_obj_and_place": "two",
}
EASY, HARD = ("look", "place", "clean"), ("heat", "cool", "two")
ARMS = ("no-memory", "exprag", "lora", "lora-retrieval", "exprag-lora")
Outcomes = dict[str, dict[tuple[str, str], bool]]
"""By column (arm, index state and seed) whether each game was won, by (type, game)."""
Seeds = dict[str, dict[tuple[str, str], bool]]
"""The same of one arm and index state, by seed."""


def read(paths: list[Path]) -> Outcomes:
    outcomes: Outcomes = {}
    for path in paths:
        with path.open(newline="", encoding="utf-8") as lines:
            for line in csv.DictReader(lines):
                game = (SHORT[line.pop("type")], line.pop("game"))
                for column, won in line.items():
                    if won != "":
                        outcomes.setdefault(column, {})[game] = won == "1"
    order = {arm: place for place, arm in enumerate(ARMS)}  # arms of other plans come last
    return dict(sorted(outcomes.items(), key=lambda item: (order.get(item[0].split("--")[0], len(order)), item[0])))


def rate(games: dict[tuple[str, str], bool], types: tuple[str, ...]) -> str:
    """ "51 of 73, 70 % [58, 79]"; a dash where no such game was played."""
    chosen = [won for (type_, _), won in games.items() if type_ in types]
    interval = wilson(sum(chosen), len(chosen))
    if interval is None:
        return "–"
    limits = f"[{100 * interval.low:.0f}, {100 * interval.high:.0f}]"
    return f"{sum(chosen)} of {len(chosen)}, {100 * sum(chosen) / len(chosen):.0f} % {limits}"


def difference(one: dict[tuple[str, str], bool], other: dict[tuple[str, str], bool], types: tuple[str, ...]) -> str:
    """Points, with their interval, over the games that both played."""
    both = [game for game in one if game in other and game[0] in types]
    return _points(paired_rates(Paired.of((one[game], other[game]) for game in both)))


def by_arm(outcomes: Outcomes) -> dict[tuple[str, str], Seeds]:
    """The columns by arm and index state, then by seed."""
    arms: dict[tuple[str, str], Seeds] = {}
    for column, games in outcomes.items():
        arm, index, seed = _parts(column)
        arms.setdefault((arm, index), {})[seed] = games
    return arms


def mean(seeds: Seeds, types: tuple[str, ...]) -> Difference:
    """Success over the seeds, with an interval that draws games with all their seeds."""
    played = [(game, float(won)) for games in seeds.values() for game, won in games.items() if game[0] in types]
    return paired_means([won for _, won in played], [" ".join(game) for game, _ in played])


def means(outcomes: Outcomes) -> Iterator[str]:
    """The table of arms with several seeds, as lines; none where no arm has them."""
    arms = by_arm(outcomes)
    repeated = {name: seeds for name, seeds in arms.items() if len(seeds) > 1}
    baseline = arms.get(("lora", "–"), {})
    if repeated:
        yield ""
        yield "| mean of seeds | index | easy | hard | heat and cool | − LoRA: easy | hard | heat and cool |"
        yield "|---|---|---|---|---|---|---|---|"
    for (arm, index), seeds in repeated.items():
        rates, differences = [], []
        for types in (EASY, HARD, HARD[:2]):
            rates.append(_percent(mean(seeds, types)))
            played = [(seed, game, won) for seed, games in seeds.items() for game, won in games.items() if game[0] in types]
            both = [(game, (won, baseline[seed][game])) for seed, game, won in played if game in baseline.get(seed, {})]
            differences.append(_points(success_difference([pair for _, pair in both], [" ".join(game) for game, _ in both])))
        yield "| " + " | ".join([arm, index, *rates, *(differences if arm != "lora" else ["–"] * 3)]) + " |"


def _percent(rate: Difference) -> str:
    if rate.estimate is None:
        return "–"
    limits = f" [{100 * rate.interval.low:.0f}, {100 * rate.interval.high:.0f}]" if rate.interval else ""
    return f"{100 * rate.estimate:.1f} %{limits}"


def _points(difference: Difference) -> str:
    if difference.estimate is None:
        return "–"
    limits = f" [{100 * difference.interval.low:+.1f}, {100 * difference.interval.high:+.1f}]" if difference.interval else ""
    return f"{100 * difference.estimate:+.1f}{limits}"


def tables(outcomes: Outcomes) -> Iterator[str]:
    """The tables as lines of Markdown."""
    yield "| arm | index | seed | easy | hard | heat and cool |"
    yield "|---|---|---|---|---|---|"
    for column, games in outcomes.items():
        yield "| " + " | ".join([*_parts(column), *(rate(games, types) for types in (EASY, HARD, HARD[:2]))]) + " |"
    yield ""
    yield "| arm | index | seed | " + " | ".join(SHORT.values()) + " |"
    yield "|---|---|---|" + "---|" * len(SHORT)
    for column, games in outcomes.items():
        yield "| " + " | ".join([*_parts(column), *(rate(games, (type_,)).split(",")[0] for type_ in SHORT.values())]) + " |"
    yield ""
    yield "| arm − LoRA | index | seed | easy | hard | heat and cool |"
    yield "|---|---|---|---|---|---|"
    for column, games in outcomes.items():
        arm, index, seed = _parts(column)
        baseline = outcomes.get(f"lora--seed-{seed}")
        if baseline is not None and arm in ("lora-retrieval", "exprag-lora"):
            cells = [difference(games, baseline, types) for types in (EASY, HARD, HARD[:2])]
            yield "| " + " | ".join([arm, index, seed, *cells]) + " |"
    yield from means(outcomes)


def _parts(column: str) -> tuple[str, str, str]:
    arm, *index, seed = column.split("--")
    return arm, index[0] if index else "–", seed.removeprefix("seed-")


if __name__ == "__main__":
    print("\n".join(tables(read([Path(path) for path in sys.argv[1:]] or sorted(DATA.glob("*.csv"))))))
