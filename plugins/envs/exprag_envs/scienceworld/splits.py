"""The thirty tasks and their variations: the package's own train, dev and test, without starting the simulator.

The package splits a task's variations in order: quarters of floor(n / 4); train is the first two, dev the third, test the
rest. `TASKS` holds each task's number of variations; a test compares all of it with the simulator.
"""

from __future__ import annotations

from collections.abc import Collection

from exprag.errors import ConfigError, closest

SPLITS = ("train", "dev", "test")

# task → number of variations (scienceworld 1.2.3), in the order of the ScienceWorld paper's Table 2
TASKS = {
    "boil": 30,
    "melt": 30,
    "freeze": 30,
    "change-the-state-of-matter-of": 30,
    "use-thermometer": 540,
    "measure-melting-point-known-substance": 436,
    "measure-melting-point-unknown-substance": 300,
    "power-component": 20,
    "power-component-renewable-vs-nonrenewable-energy": 20,
    "test-conductivity": 900,
    "test-conductivity-of-unknown-substances": 600,
    "find-living-thing": 300,
    "find-non-living-thing": 300,
    "find-plant": 300,
    "find-animal": 300,
    "grow-plant": 126,
    "grow-fruit": 126,
    "chemistry-mix": 32,
    "chemistry-mix-paint-secondary-color": 36,
    "chemistry-mix-paint-tertiary-color": 36,
    "lifespan-longest-lived": 125,
    "lifespan-shortest-lived": 125,
    "lifespan-longest-lived-then-shortest-lived": 125,
    "identify-life-stages-1": 14,
    "identify-life-stages-2": 10,
    "inclined-plane-determine-angle": 168,
    "inclined-plane-friction-named-surfaces": 1386,
    "inclined-plane-friction-unnamed-surfaces": 162,
    "mendelian-genetics-known-plant": 120,
    "mendelian-genetics-unknown-plant": 480,
}

# The ExpRAG paper's held-out types (section 1 of its experiments gives sizes and some names only); see
# docs/environments/scienceworld.md for how the thirteen were found and how far they are unique.
HARD_TYPES = (
    "change-the-state-of-matter-of",
    "measure-melting-point-known-substance",
    "power-component-renewable-vs-nonrenewable-energy",
    "test-conductivity",
    "grow-plant",
    "chemistry-mix",
    "chemistry-mix-paint-secondary-color",
    "chemistry-mix-paint-tertiary-color",
    "lifespan-longest-lived-then-shortest-lived",
    "identify-life-stages-1",
    "inclined-plane-friction-unnamed-surfaces",
    "mendelian-genetics-known-plant",
    "mendelian-genetics-unknown-plant",
)
EASY_TYPES = tuple(name for name in TASKS if name not in HARD_TYPES)
WORDS = {"easy": EASY_TYPES, "hard": HARD_TYPES}


def variations(name: str, split: str) -> range:
    """The variations of a task in a split, by the package's rule."""
    total = TASKS[name]
    quarter = total // 4
    bounds = {"train": (0, 2 * quarter), "dev": (2 * quarter, 3 * quarter), "test": (3 * quarter, total)}
    return range(*bounds[split])


def split_of(name: str, variation: int) -> str:
    return next(split for split in SPLITS if variation in variations(name, split))


def expand(types: Collection[str] | None) -> list[str]:
    """Task names in their fixed order; "easy" and "hard" stand for the paper's lists. Raises ConfigError for an unknown one."""
    if types is None:
        return list(TASKS)
    selection: set[str] = set()
    for word in [types] if isinstance(types, str) else types:
        if word not in TASKS and word not in WORDS:
            raise ConfigError(f"ScienceWorld has no task type {word!r}.", cure=closest(word, [*WORDS, *TASKS]))
        selection.update(WORDS.get(word, (word,)))
    return [name for name in TASKS if name in selection]


def need_split(split: str) -> str:
    if split not in SPLITS:
        raise ConfigError(f"ScienceWorld has no split {split!r}.", cure=closest(split, list(SPLITS)))
    return split
