"""How fast ALFWorld's games are played here, against the stock alfworld package in the same run.

    ALFWORLD_DATA=… python benchmarks/alfworld_speed.py [--json] [--quick | --smoke]

Every game is played by the stock package, by the reference engine (the package with its repeated work remembered) and by the
fast engine, one after the other, with the same actions; each ratio is the median over games of (ours ÷ stock) of that game.
"Warm" means that the reference engine's translation lies in its cache: the game was played before.

    list_ratio               list of all train tasks, its index made ÷ the stock `AlfredTWEnv` scan (aim: < 0.1)
    list_ratio_without_index the same for the very first list, which makes the index
    reference                load, reset, step ÷ stock, warm (aims: < 0.2, < 0.15, < 0.65)
    reference_memory         resident megabytes that games after the first forty added, 200 games in one process (aim: flat)
    fast                     load, reset, step: stock ÷ fast (aims for reset and step: > 300, > 1000)
    different                texts, admissible actions or outcomes in which an engine differed from stock (must be 0)
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from _output import Figures, make_parser, sized, start

from exprag.trajectory import Task
from exprag_envs.alfworld import games
from exprag_envs.alfworld.engine import Engine
from exprag_envs.alfworld.environment import ENGINES

Seconds = dict[str, float]  # load, reset, step (each the time of one)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


class Stock:
    """The package as its users run it: the wrappers of `AlfredTWEnv.init_env`, one environment reused."""

    def __init__(self) -> None:
        import textworld
        from alfworld.agents.environment.alfred_tw_env import AlfredDemangler, AlfredInfos
        from textworld.envs.pddl import PddlEnv

        infos = textworld.EnvInfos(won=True, admissible_commands=True, extras=["gamefile"])
        self.env = AlfredInfos(AlfredDemangler(PddlEnv(infos), shuffle=False))

    def play(self, file: Path, actions: int) -> tuple[Seconds, list[str], list[Any]]:
        """Load, reset, then `actions` random admissible actions and the walkthrough: the seconds, the actions and the answers."""
        walkthrough = json.loads(file.read_text())["walkthrough"]
        draw = random.Random(str(file.parent.name))
        load, _ = timed(lambda: self.env.load(str(file)))
        reset, state = timed(self.env.reset)
        answers = [(state.feedback, state["admissible_commands"], bool(state["won"]))]
        moves: list[str] = []
        total = 0.0
        for action in [None] * actions + ["put it there"] + walkthrough:
            moves.append(action or draw.choice(state["admissible_commands"]))
            seconds, (state, _, _) = timed(lambda: self.env.step(moves[-1]))
            total += seconds
            answers.append((state.feedback, state["admissible_commands"], bool(state["won"])))
        return {"load": load, "reset": reset, "step": total / len(moves)}, moves, answers


def play(engine: Engine, file: Path, moves: list[str]) -> tuple[Seconds, list[Any]]:
    """The same game with the same actions in one of our engines. Reading the file counts as loading, as it does there.

    Admissible actions are compared, and called for outside the clock: the stock package and the reference engine compute them
    in every step, the fast engine only on request.
    """
    load, _ = timed(lambda: engine.load(json.loads(file.read_text()), file.parent.name))
    reset, state = timed(engine.reset)
    answers: list[Any] = [(state.feedback, engine.admissible(), state.won)]
    total = 0.0
    for action in moves:
        seconds, state = timed(partial(engine.step, action))
        total += seconds
        answers.append((state.feedback, engine.admissible(), state.won))
    return {"load": load, "reset": reset, "step": total / len(moves)}, answers


def make_engine(name: str, cache: Path) -> Engine:
    module, _, attribute = ENGINES[name].partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    return factory(cache_dir=cache) if name == "alfworld" else factory()


def compare(root: Path, tasks: list[Task], actions: int, cache: Path) -> dict[str, Any]:
    """Stock, reference and fast on the same games, interleaved game by game."""
    stock, engines = Stock(), {name: make_engine(name, cache) for name in ("alfworld", "fast")}
    ratios: dict[str, dict[str, list[float]]] = {name: {"load": [], "reset": [], "step": []} for name in engines}
    times: dict[str, list[Seconds]] = {"stock": [], "alfworld": [], "fast": []}
    different = 0
    for task in tasks:
        file = root / games.FOLDER / task.id / games.GAME_FILE
        engines["alfworld"].load(json.loads(file.read_text()), task.id)  # fills the cache: what follows is warm
        stock_seconds, moves, stock_answers = stock.play(file, actions)
        times["stock"].append(stock_seconds)
        for name, engine in engines.items():
            seconds, answers = play(engine, file, moves)
            times[name].append(seconds)
            different += sum(one != other for one, other in zip(answers, stock_answers, strict=True))
            for part, values in ratios[name].items():
                values.append(seconds[part] / stock_seconds[part])
    median = {name: {part: statistics.median(values) for part, values in parts.items()} for name, parts in ratios.items()}
    return {
        "reference": {part: round(ratio, 4) for part, ratio in median["alfworld"].items()},
        "fast": {part: round(1 / ratio, 1) for part, ratio in median["fast"].items()},
        "different": different,
        "games": len(tasks),
        "ms": {
            name: {part: round(1000 * statistics.median(s[part] for s in rows), 4) for part in ("load", "reset", "step")}
            for name, rows in times.items()
        },
    }


def list_split(root: Path, split: str, cache: Path) -> dict[str, Any]:
    """The task list of a split against the stock scan of the same folder, alternating: the very first, then with the index."""
    from alfworld.agents.environment.alfred_tw_env import AlfredTWEnv

    config = {
        "env": {"task_types": [1, 2, 3, 4, 5, 6], "goal_desc_human_anns_prob": 0},
        "dataset": {"data_path": str(root / games.FOLDER / split), "num_train_games": 0},
    }
    ratios, counts = [], (0, 0)
    for _ in range(4):
        ours, tasks = timed(lambda: list(games.list_tasks(root, split, games.expand_types(None), cache)))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            stock, scan = timed(lambda: AlfredTWEnv(config, "train"))
        ratios.append(ours / stock)
        counts = len(tasks), len(scan.game_files)
    if counts[0] != counts[1]:
        raise SystemExit(f"The lists differ: {counts[0]} tasks here, {counts[1]} in the stock package.")
    return {
        "list_ratio": round(statistics.median(ratios[1:]), 4),
        "list_ratio_without_index": round(ratios[0], 4),
        "listed": counts[0],
    }


def memory(root: Path, tasks: list[Task], cache: Path) -> dict[str, Any]:
    """Resident memory of the reference engine over many games in this process: load, reset, walkthrough."""
    engine, process, resident = make_engine("alfworld", cache), psutil.Process(), []
    for task in tasks:
        game, _ = games.read_game(root, task)
        engine.load(game, task.id)
        engine.reset()
        for action in game["walkthrough"]:
            engine.step(action)
        resident.append(process.memory_info().rss / 2**20)
    first = max(1, min(40, len(resident) // 2))  # until the caches, which are bounded, are full
    return {"growth_mb": round(resident[-1] - resident[first - 1], 1), "games": len(resident)}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--split", help="split to list and to draw games from (default: train; with --smoke: valid_unseen)")
    options = parser.parse_args()
    split = options.split or ("valid_unseen" if options.size == "smoke" else "train")
    count, memory_count = sized(options, full=(30, 200), quick=(8, 30), smoke=(1, 2))
    root = games.data_root(os.environ.get("ALFWORLD_DATA"))
    with tempfile.TemporaryDirectory() as folder, Figures("alfworld_speed", options) as figures:
        cache = Path(folder)
        figures.extend(list_split(root, split, cache), {"list_ratio": "below 0.1"})
        tasks = list(games.list_tasks(root, split, games.expand_types(None), cache))
        sample = random.Random(0).sample(tasks, min(200, len(tasks)))
        aims = {
            "reference": "load below 0.2, reset below 0.15, step below 0.65",
            "fast": "reset above 300, step above 1000",
            "different": "0",
        }
        figures.extend(compare(root, sample[:count], 5, cache), aims)
        figures.add("reference_memory", memory(root, sample[:memory_count], cache), "growth about 0")


if __name__ == "__main__":
    start(main)
