"""How fast expert experience is collected: ALFWorld train games a minute, against the stock environment looped alone.

    ALFWORLD_DATA=… python benchmarks/collect_speed.py [--json] [--quick]

The hand-coded expert plays train games drawn with one seed: with `exprag collect`'s engine and two workers, once with the fast
engine and once with the reference engine, and in a bare loop round the stock package in one process, as its users collect.
Process start counts. The reference engine is warm where a game was played before, as in any second collection.

    fast_to_stock, reference_to_stock    games a minute ÷ the stock loop's
    all_train_minutes                    collecting all 3,553 train games with the fast engine (aim: under 3; not with --quick)
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from exprag.plugins import create
from exprag.runs import RunConfig, choose_tasks, run
from exprag_envs.alfworld import games

CAP = 100  # turns after which the hand-coded expert of both engines gives up


def collect(engine: str, limit: int, folder: str) -> tuple[float, int]:
    """Minutes and successes of collecting with an engine."""
    config = RunConfig.make(
        policy="expert",
        environment="alfworld",
        environment_options={"engine": engine, "cache_dir": f"{folder}/cache"},
        split="train",
        shuffle=True,
        limit=limit,
        workers=2,
    )
    started = time.perf_counter()
    summary = run(config, f"{folder}/{engine}-{limit}-{time.monotonic_ns()}")
    return (time.perf_counter() - started) / 60, summary.successes


def stock_loop(limit: int) -> float:
    """Minutes that the stock package takes for the first games of the same draw, one after the other."""
    import textworld
    from alfworld.agents.environment.alfred_tw_env import AlfredDemangler, AlfredExpert, AlfredInfos
    from textworld.envs.pddl import PddlEnv

    config = RunConfig.make(environment="alfworld", split="train", shuffle=True, limit=limit)
    tasks = choose_tasks(create("environment", "alfworld"), config)
    infos = textworld.EnvInfos(won=True, admissible_commands=True, facts=True, extras=["gamefile", "expert_plan"])
    env = AlfredExpert(AlfredInfos(AlfredDemangler(PddlEnv(infos), shuffle=False)), expert_type="handcoded")
    root = games.data_root()
    started = time.perf_counter()
    for task in tasks:
        env.load(str(root / games.FOLDER / task.id / games.GAME_FILE))
        state, done = env.reset(), False
        for _ in range(CAP):
            plan = state["extra.expert_plan"]
            if done or not plan:
                break
            state, _, done = env.step(plan[0])
    return (time.perf_counter() - started) / 60


def measure(quick: bool) -> dict[str, Any]:
    stock_games, collected = (4, 40) if quick else (20, 200)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "cache").mkdir()
        stock = stock_games / stock_loop(stock_games)
        rates, won = {}, {}
        if not quick:
            collect("alfworld", collected, folder)  # fills the cache
        for engine in ("alfworld", "fast"):
            minutes, won[engine] = collect(engine, collected, folder)
            rates[engine] = collected / minutes
        whole = None if quick else round(collect("fast", 3553, folder)[0], 2)
    return {
        "games": collected,
        "stock_games": stock_games,
        "reference_cache": "cold" if quick else "warm",
        "games_per_minute": {
            "stock": round(stock, 1),
            "reference": round(rates["alfworld"], 1),
            "fast": round(rates["fast"], 1),
        },
        "won": {"reference": won["alfworld"], "fast": won["fast"]},
        "fast_to_stock": round(rates["fast"] / stock, 1),
        "reference_to_stock": round(rates["alfworld"] / stock, 1),
        "all_train_minutes": whole,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    result = {"quick": args.quick, **measure(args.quick)}
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
