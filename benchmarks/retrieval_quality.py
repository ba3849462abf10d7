"""Which query strategy and which selector bring back the experience that helps: no language model takes part.

    ALFWORLD_DATA=… python benchmarks/retrieval_quality.py [--env alfworld] [--env scienceworld] [--cache FOLDER] [--json]
        [--k 2] [--encoder lexical] [--search-mode auto] [--strategies a,b] [--selectors a,b] [--limit N] [--ranks-only]
        [--quick | --smoke]

The expert's train episodes fill a bank (all 3,553 of ALFWorld's; a sample of each ScienceWorld type); tasks of the test split
query it. Finished parts stay in `--cache` and are not repeated, so the command may be interrupted and started again.

Rank measures are hits: the share of moments at which one of the k selected trajectories has the task's own
    type     task type
    object   what the task is about: `object` of its metadata, else a word of its instruction that is rare within its type
    plan     sequence of actions on things: verbs of the expert's actions, without going, looking, opening and closing, and
             without repetitions
at the `start` of the episode and, where a strategy queries the bank again, `later`: after 1/4, 1/2 and 3/4 of the expert's own
steps. The interval at the start is Wilson's; later, a bootstrap over tasks.

Success is that of the case-based baseline, played in the graph with this arm, with Wilson's interval; the difference to
`task` and `top_k` is over the same tasks, with Newcombe's. The baseline was developed on these games: its success compares
arms of retrieval with each other, and says nothing about what a language model would make of them.

`success_weighted+learned` first plays `task` and `top_k` on train tasks (each without its own group's episodes, as always) and
learns utilities from them. `rerank` needs a language model and is left out.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _output import Figures, make_parser, note, sized, start

from exprag import Trajectory
from exprag.bank import Bank
from exprag.contracts.selector import Candidate
from exprag.evaluation.likeness import agreement, common_words
from exprag.evaluation.retrieval import moments_of
from exprag.evaluation.statistics import Difference, Interval, Paired, paired_means, paired_rates, wilson
from exprag.plugins import create
from exprag.retrieval import Retriever
from exprag.retrieval.utilities import learn_utilities, write_utilities
from exprag.runs import RunConfig, RunDirectory, run

STRATEGIES = ("task", "task_and_observation", "last_observation", "state", "trajectory", "step")
SELECTORS = ("top_k", "deduplicated", "mmr", "successes", "success_weighted", "mixture", "type_quota", "failures")
LEARNED = "success_weighted+learned"
BASE = ("task", "top_k")


@dataclass(frozen=True)
class World:
    """What is played in one environment: the test split, options, and how many tasks of each type: in the bank, to learn
    utilities from, and of the test split (None: all)."""

    name: str
    test: str
    options: dict[str, Any]
    bank_tasks: int | None
    utility_tasks: int
    test_tasks: int | None

    def at_most(self, bank_tasks: int, other_tasks: int) -> World:
        """The same with this many tasks of each type."""
        return replace(self, bank_tasks=bank_tasks, utility_tasks=other_tasks, test_tasks=other_tasks)


WORLDS = {
    "alfworld": World("alfworld", "valid_unseen", {"engine": "fast"}, None, 50, None),
    "scienceworld": World("scienceworld", "test", {}, 10, 2, 2),
}


class Benchmark:
    """One environment with one encoder; every part is read from the cache where it is finished."""

    def __init__(self, world: World, args: argparse.Namespace) -> None:
        self.world, self.encoder, self.search_mode, self.k = world, args.encoder, args.search_mode, args.k
        self.limit = args.limit or sized(args, full=None, quick=None, smoke=2)
        self.strategies, self.selectors = args.strategies.split(","), args.selectors.split(",")
        self.folder = args.cache / (world.name + sized(args, full="", quick="-quick", smoke="-smoke"))
        slug = re.sub(r"[^a-zA-Z0-9]+", "-", args.encoder)[-40:].strip("-")
        mode = [args.search_mode] if args.search_mode != "auto" else []
        self.arms = self.folder / "-".join([slug, f"k{args.k}", str(self.limit or "all"), *mode])
        self.train = self.expert("train", world.bank_tasks, None)
        self.references = {t.task.key: t for t in self.expert(world.test, world.test_tasks, self.limit)}
        self.bank = self._bank(slug)
        self._common = common_words(t.task for t in (*self.train, *self.references.values()))
        self._whole = {t.id: t for t in self.train}

    def config(self, split: str, per_type: int | None, limit: int | None, **more: Any) -> RunConfig:
        world = self.world
        tasks = {"split": split, "per_type": per_type, "limit": limit, "shuffle": True, "workers": 0}
        return RunConfig.make(environment=world.name, environment_options=world.options, **tasks, **more)

    def expert(self, split: str, per_type: int | None, limit: int | None) -> list[Trajectory]:
        """The expert's episodes of a split."""
        return self.play(self.folder / f"expert-{split}-{limit or 'all'}", self.config(split, per_type, limit, policy="expert"))

    def play(self, folder: Path, config: RunConfig) -> list[Trajectory]:
        note(f"{folder.relative_to(self.folder.parent)} …")
        run(config, folder)
        return sorted(RunDirectory(folder).episodes(), key=lambda t: t.task.key)

    def _bank(self, slug: str) -> Bank:
        bank = Bank.open_or_create(self.folder / f"bank-{slug}", self.encoder, [BASE[0], *self.strategies])
        if len(bank) < len({t.id for t in self.train}):
            bank.add(self.train)
        return bank

    # -- ranks

    def cached_ranks(self, strategy: str, selectors: Sequence[str]) -> dict[str, dict[str, Any]]:
        """`ranks`, from the cache where they are there."""
        path = self.arms / f"ranks-{strategy}.json"
        ranks: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
        if missing := [name for name in selectors if name not in ranks]:
            note(f"{path.relative_to(self.folder.parent)} …")
            ranks |= self.ranks(strategy, missing)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(ranks, indent=1))
        return ranks

    def ranks(self, strategy: str, selectors: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Rank measures by selector. One query returns the largest pool, of which each selector sees its own part."""
        by_name = {name: self._selector(name) for name in selectors}
        pools = {name: selector.pool(self.k) for name, selector in by_name.items()}
        retriever = Retriever(self.bank, strategy, k=max(pools.values()), search_mode=self.search_mode)
        hits: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for key, episode in self.references.items():
            for when, moment in moments_of(episode, retriever):
                retrieval = retriever.retrieve(moment)
                candidates = retrieval.candidates if retrieval else []
                pool = [replace(c, trajectory=self._whole[c.trajectory.id]) for c in candidates]
                for name, selector in by_name.items():
                    selection = selector.select(pool[: pools[name]], self.k, moment) if pool else []
                    for measure, hit in self._agrees(episode, selection).items():
                        hits[name, when, measure][key].append(hit)
        result: dict[str, dict[str, Any]] = defaultdict(dict)
        for (name, when, measure), by_task in hits.items():
            values = [sum(shares) / len(shares) for shares in by_task.values()]
            result[name][f"{measure}_{when}"] = _rate(values) if when == "start" else _mean(values)
        return result

    def _agrees(self, episode: Trajectory, selection: Sequence[Candidate]) -> dict[str, float]:
        """1 or 0 by measure; a measure that says nothing about this task is left out."""
        scores = agreement(episode, [candidate.trajectory for candidate in selection], self._common)
        return {name: score for name, score in scores.items() if name != "plan_overlap"}

    def _selector(self, name: str) -> Any:
        options = {"utilities": str(self.utilities())} if name == LEARNED else {}
        return create("selector", name.partition("+")[0], **options)

    # -- success

    def success(self, strategy: str, selector: str) -> dict[str, bool]:
        """By task, whether the case-based baseline reached the goal with this arm."""
        options = {"utilities": str(self.utilities())} if selector == LEARNED else {}
        config = self._arm(self.world.test, self.world.test_tasks, self.limit, strategy, selector.partition("+")[0], options)
        return {t.task.key: bool(t.success) for t in self.play(self.arms / f"{strategy}-{selector}", config)}

    def no_memory(self) -> dict[str, bool]:
        config = self.config(self.world.test, self.world.test_tasks, self.limit, model="case-based")
        return {t.task.key: bool(t.success) for t in self.play(self.folder / f"no-memory-{self.limit or 'all'}", config)}

    def utilities(self) -> Path:
        """A file of utilities, learned on the development split."""
        path = self.arms / "utilities.json"
        if not path.exists():
            config = self._arm("train", self.world.utility_tasks, None, *BASE, {})
            write_utilities(path, learn_utilities(self.play(self.arms / "learned-from", config)))
        return path

    def _arm(self, split: str, per_type: int | None, limit: int | None, strategy: str, selector: str, options: Any) -> RunConfig:
        arm = {"strategy": strategy, "selector": selector, "selector_options": options, "k": self.k}
        return self.config(split, per_type, limit, **arm, search_mode=self.search_mode, bank=self.bank.uri)

    def measure(self, ranks_only: bool) -> Iterator[tuple[str, Any]]:
        """Name and value of each figure: what is compared, then one an arm."""
        yield "bank", {"rows": len(self.bank), "encoder": self.encoder, "search_mode": self.search_mode}
        yield "tasks", len(self.references)
        base = {} if ranks_only else self.success(*BASE)
        if not ranks_only:
            yield "no_memory", _rate([float(x) for x in self.no_memory().values()])
        for strategy in self.strategies:
            ranks = self.cached_ranks(strategy, self.selectors)
            for selector in self.selectors:
                row: dict[str, Any] = dict(ranks[selector])
                if not ranks_only:
                    outcomes = self.success(strategy, selector)
                    row["success"] = _rate([float(x) for x in outcomes.values()])
                    row["difference"] = _difference(paired_rates(_paired(outcomes, base)))
                yield f"{strategy}, {selector}", row


def _paired(arm: dict[str, bool], base: dict[str, bool]) -> Paired:
    table = Counter((arm[task], base[task]) for task in arm.keys() & base.keys())
    return Paired(table[True, True], table[True, False], table[False, True], table[False, False])


def _rate(values: Sequence[float]) -> dict[str, Any]:
    return {"n": len(values), "rate": sum(values) / len(values), "interval": _limits(wilson(int(sum(values)), len(values)))}


def _mean(values: Sequence[float]) -> dict[str, Any]:
    mean = paired_means(values)
    return {"n": mean.n, "rate": mean.estimate, "interval": _limits(mean.interval)}


def _difference(difference: Difference) -> dict[str, Any]:
    return {"n": difference.n, "points": difference.estimate, "interval": _limits(difference.interval)}


def _limits(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [round(interval.low, 4), round(interval.high, 4)]


def table(rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Markdown: one row an arm, in percent."""
    columns = ("type_start", "type_later", "object_start", "object_later", "plan_start", "plan_later", "success", "difference")
    lines = ["| strategy | selector | " + " | ".join(column.replace("_", " ") for column in columns) + " |"]
    lines.append("|---|---|" + "---|" * len(columns))
    for name, values in rows:
        cells = [*name.split(", "), *(_cell(values.get(column), sign=column == "difference") for column in columns)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: dict[str, Any] | None, sign: bool = False) -> str:
    if not value:
        return "–"
    form = "{:+.0f}" if sign else "{:.0f}"
    number = form.format(100 * value["points" if sign else "rate"])
    limits = value["interval"]
    return f"{number} [{', '.join(form.format(100 * x) for x in limits)}]" if limits else number


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--env", action="append", choices=list(WORLDS), help="repeatable; default: all")
    parser.add_argument("--cache", type=Path, default=Path("retrieval_quality"), help="folder for finished parts")
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--selectors", default=",".join((*SELECTORS, LEARNED)))
    parser.add_argument("--encoder", default="lexical", help="lexical, or hf:<model id or folder>")
    parser.add_argument("--search-mode", choices=("auto", "vector", "lexical", "hybrid"), default="auto")
    parser.add_argument("--k", type=int, default=2)
    parser.add_argument("--limit", type=int, help="at most this many test tasks of each environment")
    parser.add_argument("--ranks-only", action="store_true", help="play no episodes of the baseline")
    options = parser.parse_args()
    with Figures("retrieval_quality", options) as figures:
        figures.add("k", options.k)
        for name in options.env or WORLDS:
            world = WORLDS[name]
            world = sized(options, full=world, quick=world.at_most(20, 2), smoke=world.at_most(2, 1))
            rows: list[tuple[str, dict[str, Any]]] = []
            for figure, value in Benchmark(world, options).measure(options.ranks_only):
                figures.add(f"{name}: {figure}", value)
                if ", " in figure:
                    rows.append((figure, value))
            if not options.json:
                print(f"\n{table(rows)}\n", flush=True)


if __name__ == "__main__":
    start(main)
