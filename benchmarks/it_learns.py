"""ExpRAG-LoRA learns: a small model, trained on the traces of easy ALFWorld games, is played before and after.

    ALFWORLD_DATA=… python benchmarks/it_learns.py --out FOLDER [--json] [--quick | --smoke] [--base MODEL] [--arms NAME,…]

    base        a causal model made on the spot (`small_model`), or your own model folder: --base
    experience  an expert plays the train games, easy and hard types apart: the bank. The easy games are played again
                with useless actions in between, which are not learnt from; the steps after them are
    rows        the easy episodes as training rows, with one retrieved episode in memory, and without
    adapters    LoRA on either
    arms        base and adapters play valid_unseen through the graph, easy and hard types apart
    report      success, paired differences with 95 % intervals, losses: results.json, results.md, results.png, and
                easy.html and hard.html to read the episodes in

A stage whose result is there is skipped, an interrupted one continues. stages.json holds the seconds of each.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import small_model
from _it_learns_report import write_report
from _output import Figures, make_parser, note, sized, start

from exprag.bank import Bank
from exprag.environments.expert import play
from exprag.files import read_jsonl, write_json, write_jsonl
from exprag.plugins import create
from exprag.runs import RunConfig, run
from exprag.training import DataConfig, build_rows, train, write_dataset
from exprag.trajectory import Task, Trajectory

K = 1
LONGEST = 30  # steps of such an episode, useless ones not counted; agents have 50
# The recipe of the paper but for what a model of two million parameters needs: a higher rate, all linear layers.
RECIPE: dict[str, Any] = {
    "learning_rate": 2e-3,
    "lr_scheduler_type": "linear",
    "r": 32,
    "lora_alpha": 64,
    "target_modules": "all-linear",
    "lora_dropout": 0.0,
    "batch_size": 4,
    "per_device_train_batch_size": 4,
}
ANSWER = 16  # tokens; the longest action has 8
SEED = 2025


@dataclass(frozen=True)
class Arm:
    """Who plays: `adapter` "" is the base. `index` is the index state of the memory; "" is no memory."""

    name: str
    adapter: str = ""
    index: str = ""


ARMS = (
    Arm("base"),
    Arm("lora", "lora"),
    Arm("exprag-lora", "exprag-lora", "matched"),
    Arm("exprag-lora + empty index", "exprag-lora", "empty"),
    Arm("base + retrieval", "", "matched"),
    Arm("lora + retrieval at test", "lora", "matched"),
)
MAIN = ("base", "lora", "exprag-lora")


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    errands: int = small_model.ROWS  # for the small model
    rooms: int | None = None  # of the errands
    games: int | None = None  # of each type that the expert plays
    times: int = 3  # how often an easy game is played to be learnt from
    epochs: int = 3
    tests: int | None = None  # games of each type that an arm plays
    max_steps: int | None = None  # of each of them
    workers: int = 1  # processes that play for an arm, and twice as many for the expert; 0: this one


@dataclass(frozen=True)
class Work:
    """The folder of one repetition, and its sizes."""

    out: Path
    sizes: Sizes = Sizes()

    def stage(self, name: str, result: Path, make: Callable[[], object]) -> Path:
        """Make a result unless it is there, and note the seconds that it took, over all its attempts."""
        if not result.exists():
            note(f"{time.strftime('%H:%M:%S')} {name}")
            started = time.monotonic()
            try:
                make()
            finally:
                times = self.times()
                times[name] = round(times.get(name, 0) + time.monotonic() - started, 1)
                write_json(self.out / "stages.json", times)
        return result

    def times(self) -> dict[str, float]:
        path = self.out / "stages.json"
        return json.loads(path.read_text()) if path.exists() else {}


def collect(work: Work) -> None:
    """The bank of all train games, and the lessons."""
    limit = work.sizes.games
    by_half: dict[str, list[Trajectory]] = {}
    for half in ("easy", "hard"):
        config = RunConfig.make(
            policy="expert",
            expert="explorer",
            environment="alfworld",
            split="train",
            types=(half,),
            per_type=limit,
            workers=2 * work.sizes.workers,
        )
        folder = run(config, work.out / "experience" / half).path
        by_half[half] = [t for t in read_jsonl(folder / "episodes.jsonl") if t.success and len(t.steps) <= LONGEST]
    Bank.open_or_create(work.out / "bank").add([*by_half["easy"], *by_half["hard"]])
    write_jsonl(work.out / "lessons.jsonl", with_slips(by_half["easy"], work.sizes.times))


def with_slips(episodes: list[Trajectory], times: int) -> Iterator[Trajectory]:
    """The episodes, and the same tasks played again, with actions in between that the game does not understand."""
    rng = random.Random(SEED)
    yield from episodes
    with create("environment", "alfworld") as environment:
        for number in range(1, times):
            for episode in episodes:
                again = slipping(environment, episode.task, rng, SEED + number)
                if again.success:
                    yield again


def slipping(environment: Any, task: Task, rng: random.Random, seed: int) -> Trajectory:
    """The expert's episode with a learner's mistakes: the place after the last of its kind, a thing that is not there."""

    def policy() -> Iterator[str]:
        last = ""
        for action in environment.expert("explorer"):
            goes = action.startswith("go to ")
            slips = [f"take mug 1 from {last}", f"open {last}", f"go to {last}"] if last else []
            if last and goes:
                kind, number = last.split()
                slips += [f"go to {kind} {int(number) + 1}"] * 12
            slip = rng.choice(slips or [""])
            if slip and rng.random() < (0.5 if goes else 0.1) and slip not in environment.admissible_actions():
                # a learner repeats what failed: it must see the way out after several times too
                yield from [slip] * rng.choice((1, 1, 2, 3, 5))
            yield action
            last = action.removeprefix("go to ") if goes else last

    return play(environment, task, policy, seed=seed, max_steps=LONGEST + 30, model="expert:explorer with slips")


def make_rows(work: Work, k: int, base: Path, out: Path) -> None:
    from transformers import AutoTokenizer

    config = DataConfig.make(bank=str(work.out / "bank"), index_state="matched", k=k, mask_invalid=True, seed=SEED)
    bank = Bank.open(work.out / "bank") if k else None
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = build_rows(list(read_jsonl(work.out / "lessons.jsonl")), bank, config, tokenizer=tokenizer)
    note(str(write_dataset(out, rows).report))


def make_adapter(work: Work, rows: Path, base: Path, out: Path) -> None:
    def progress(step: int, total: int, losses: dict[str, float]) -> None:
        if step % 20 == 0:
            note(f"  step {step} of {total}, loss {losses.get('loss', float('nan')):.3f}")

    precision = "bf16" if os.environ.get("BF16", "1") == "1" else "fp32"  # as small_model
    recipe = RECIPE | {"num_train_epochs": work.sizes.epochs, "precision": precision}
    result = train(rows, str(base), out / "training", "exprag-lora", validation=0.03, progress=progress, **recipe)
    (out / "adapter").symlink_to(result.adapter.relative_to(out), target_is_directory=True)


def play_arm(work: Work, arm: Arm, half: str, base: Path, out: Path) -> None:
    model = work.out / "adapters" / arm.adapter / "adapter" if arm.adapter else base
    memory: dict[str, Any] = {"bank": str(work.out / "bank"), "index_state": arm.index, "k": K} if arm.index else {}
    config = RunConfig.make(
        name=arm.name,
        environment="alfworld",
        split="valid_unseen",
        types=(half,),
        per_type=work.sizes.tests,
        model=f"hf:{model.resolve()}?max_new_tokens={ANSWER}",
        max_steps=work.sizes.max_steps,
        workers=work.sizes.workers,
        seed=SEED,
        **memory,
    )
    wins = 0

    def progress(number: int, total: int, episode: Trajectory | None) -> None:
        nonlocal wins
        wins += bool(episode and episode.success)
        note(f"  {number} of {total}, {wins} won now")

    run(config, out, progress=progress)
    (out / "finished").touch()


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--base", type=Path, help="a model folder; default: the small model, made here")
    parser.add_argument("--arms", default=",".join(MAIN), help=f"of {', '.join(arm.name for arm in ARMS)}; or all")
    options = parser.parse_args()
    names = [arm.name for arm in ARMS] if options.arms == "all" else options.arms.split(",")
    if unknown := set(names) - {arm.name for arm in ARMS}:
        parser.error(f"no such arm: {', '.join(sorted(unknown))}")
    sizes = sized(
        options,
        full=Sizes(),
        quick=Sizes(errands=300, games=40, times=2, epochs=1, tests=2, max_steps=15),
        smoke=Sizes(errands=8, rooms=4, games=2, times=2, epochs=1, tests=1, max_steps=2, workers=0),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    with Figures("it_learns", options) as figures:
        go(Work(options.out, sizes), [arm for arm in ARMS if arm.name in names], options.base, figures)


def go(work: Work, arms: list[Arm], model: Path | None, figures: Figures) -> None:
    """All stages, each arm's games won as soon as they are played."""
    out = work.out
    make_base = partial(small_model.make, out / "base", work.sizes.errands, work.sizes.rooms)
    base = model or work.stage("base", out / "base" / "model", make_base)
    work.stage("experience", out / "lessons.jsonl", partial(collect, work))
    for name, k in (("lora", 0), ("exprag-lora", K)):
        if name in {arm.adapter for arm in arms}:
            data, folder = out / "rows" / name, out / "adapters" / name
            work.stage(f"rows of {name}", data, partial(make_rows, work, k, base, data))
            work.stage(f"training of {name}", folder / "adapter", partial(make_adapter, work, data, base, folder))
    for half in ("easy", "hard"):
        for arm in arms:
            folder = out / "runs" / half / arm.name
            work.stage(f"{arm.name} on {half}", folder / "finished", partial(play_arm, work, arm, half, base, folder))
            episodes = list(read_jsonl(folder / "episodes.jsonl"))
            figures.add(f"{half}: {arm.name}", {"games": len(episodes), "won": sum(bool(t.success) for t in episodes)})
    figures.add("seconds", work.times())
    note(write_report(out, [arm.name for arm in arms], work.times()))


if __name__ == "__main__":
    start(main)
