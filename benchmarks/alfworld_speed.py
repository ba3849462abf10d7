"""How fast ALFWorld's games are played here, against the stock alfworld package in the same run.

    ALFWORLD_DATA=… python benchmarks/alfworld_speed.py [--json] [--quick]

Every game is played by the stock package, by the reference engine (the package with its repeated work remembered) and by the
fast engine, one after the other, with the same actions; each ratio is the median over games of (ours ÷ stock) of that game.
"Warm" means that the reference engine's translation lies in its cache: the game was played before.

    list_ratio               list of all train tasks, its index made ÷ the stock `AlfredTWEnv` scan (aim: < 0.1)
    list_ratio_without_index the same for the very first list, which makes the index
    reference.load/reset/step  ÷ stock, warm (aims: < 0.2, < 0.15, < 0.65)
    reference.memory_growth_mb resident megabytes that games after the first twenty added, 200 games in one process (aim: flat)
    fast.load/reset/step     stock ÷ fast (aims for reset and step: > 300, > 1000)
    different                texts, admissible actions or outcomes in which an engine differed from stock (must be 0)
"""

from __future__ import annotations

import argparse
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
from pathlib import Path
from typing import Any

import psutil

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
        """Load, reset, then `actions` random admissible actions and the walkthrough; what it took, did and said."""
        walkthrough = json.loads(file.read_text())["walkthrough"]
        chosen = random.Random(str(file.parent.name))
        load, _ = timed(lambda: self.env.load(str(file)))
        reset, state = timed(self.env.reset)
        told, played, spent = [(state.feedback, state["admissible_commands"], bool(state["won"]))], [], 0.0
        for action in [None] * actions + ["put it there"] + walkthrough:
            played.append(action or chosen.choice(state["admissible_commands"]))
            took, (state, _, _) = timed(lambda: self.env.step(played[-1]))
            spent += took
            told.append((state.feedback, state["admissible_commands"], bool(state["won"])))
        return {"load": load, "reset": reset, "step": spent / len(played)}, played, told


def play(engine: Engine, file: Path, played: list[str]) -> tuple[Seconds, list[Any]]:
    """The same game with the same actions in one of our engines. Reading the file counts as loading, as it does there.

    Admissible actions are compared, and asked for outside the clock: the stock package computes them in every step and the
    reference engine too, the fast engine only when asked.
    """
    load, _ = timed(lambda: engine.load(json.loads(file.read_text()), file.parent.name))
    reset, state = timed(engine.reset)
    told, spent = [(state.feedback, engine.admissible(), state.won)], 0.0
    for action in played:
        took, state = timed(lambda: engine.step(action))  # noqa: B023
        spent += took
        told.append((state.feedback, engine.admissible(), state.won))
    return {"load": load, "reset": reset, "step": spent / len(played)}, told


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
        stock_seconds, played, stock_told = stock.play(file, actions)
        times["stock"].append(stock_seconds)
        for name, engine in engines.items():
            seconds, told = play(engine, file, played)
            times[name].append(seconds)
            different += sum(one != other for one, other in zip(told, stock_told, strict=True))
            for part, found in ratios[name].items():
                found.append(seconds[part] / stock_seconds[part])
    median = {name: {part: statistics.median(found) for part, found in parts.items()} for name, parts in ratios.items()}
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
            stock, scanned = timed(lambda: AlfredTWEnv(config, "train"))
        ratios.append(ours / stock)
        counts = len(tasks), len(scanned.game_files)
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
    return {"memory_growth_mb": round(resident[-1] - resident[first - 1], 1), "memory_games": len(resident)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer games: within a minute")
    parser.add_argument("--split", default="train", help="split to list and to draw games from (default: train)")
    args = parser.parse_args()
    root = games.data_root(os.environ.get("ALFWORLD_DATA"))
    with tempfile.TemporaryDirectory() as cache:
        result = {"benchmark": "alfworld_speed", "quick": args.quick, **list_split(root, args.split, Path(cache))}
        tasks = list(games.list_tasks(root, args.split, games.expand_types(None), Path(cache)))
        drawn = random.Random(0).sample(tasks, min(200, len(tasks)))
        result |= compare(root, drawn[: 8 if args.quick else 30], 5, Path(cache))
        result["reference"] |= memory(root, drawn[: 30 if args.quick else 200], Path(cache))
    if args.json:
        print(json.dumps(result))
        return
    reference, fast = result["reference"], result["fast"]
    print(f"{result['games']} games, {result['listed']} listed{', quick' if args.quick else ''}")
    print(f"list ÷ stock scan          {result['list_ratio']:.3f}   (aim < 0.1)")
    print(f"the same, no index yet     {result['list_ratio_without_index']:.3f}")
    for part, aim in (("load", "< 0.2"), ("reset", "< 0.15"), ("step", "< 0.65")):
        print(f"reference {part:<5} ÷ stock    {reference[part]:.3f}   (aim {aim})")
    print(f"reference memory growth    {reference['memory_growth_mb']:.1f} MB over {reference['memory_games']} games (aim: flat)")
    for part, aim in (("load", "none"), ("reset", "> 300"), ("step", "> 1000")):
        print(f"stock {part:<5} ÷ fast         {fast[part]:.0f}   (aim {aim})")
    print(f"different from stock       {result['different']}   (must be 0)")


if __name__ == "__main__":
    main()
