"""How fast expert experience is collected: ALFWorld train games a minute, against the stock environment looped alone.

    ALFWORLD_DATA=… python benchmarks/collect_speed.py [--json] [--quick | --smoke]

The hand-coded expert plays train games drawn with one seed: with `exprag collect`'s engine and two workers, once with the fast
engine and once with the reference engine, and in a bare loop round the stock package in one process, as its users collect.
Process start counts. The reference engine is warm where a game was played before, as in any second collection.

    fast_to_stock, reference_to_stock    games a minute ÷ the stock loop's
    all_train_minutes                    collecting all 3,553 train games with the fast engine (aim: under 3); full run only
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from _output import Figures, make_parser, sized, start

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


def main() -> None:
    options = make_parser(__doc__).parse_args()
    stock_games, count = sized(options, full=(20, 200), quick=(4, 40), smoke=(1, 3))
    whole = options.size == "full"
    with tempfile.TemporaryDirectory() as folder, Figures("collect_speed", options) as figures:
        Path(folder, "cache").mkdir()
        figures.extend({"games": count, "stock_games": stock_games, "reference_cache": "warm" if whole else "cold"})
        stock = stock_games / stock_loop(stock_games)
        figures.add("stock_games_per_minute", round(stock, 1))
        if whole:
            collect("alfworld", count, folder)  # fills the cache
        for name, engine in (("fast", "fast"), ("reference", "alfworld")):
            minutes, successes = collect(engine, count, folder)
            figures.add(f"{name}_games_per_minute", round(count / minutes, 1))
            figures.add(f"{name}_won", successes)
            figures.add(f"{name}_to_stock", round(count / minutes / stock, 1))
        if whole:
            figures.add("all_train_minutes", round(collect("fast", 3553, folder)[0], 2), "below 3")


if __name__ == "__main__":
    start(main)
