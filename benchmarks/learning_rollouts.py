"""How long an arm of `learning` takes to play: all games of valid_unseen by the shared engine, and ÷ one by one.

    ALFWORLD_DATA=… python benchmarks/learning_rollouts.py [--json] [--quick | --smoke] [--model FOLDER]

The model is a folder, a base (`exprag models fetch-small FOLDER`) or an adapter; without one a small untrained Llama is made on
the spot, which measures the bookkeeping alone. The games are played for at most 50 steps (all of them where the model is not
trained) with one recalled episode in the prompt, sixteen at once, through the graph; one by one means transformers' own
generation, call by call, over a few of the games.

    minutes       of all games by the engine
    ratio         steps a second by the engine ÷ one by one
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from _local_model import Games, make_model
from _output import Figures, make_parser, note, sized, start
from batching import rate

from exprag.bank import Bank
from exprag.runs import RunConfig, RunDirectory, run


def fill_bank(place: Path, per_type: int) -> Path:
    """A bank of the expert's episodes of some train games of each type."""
    config = RunConfig.make(
        environment="alfworld", split="train", policy="expert", expert="searcher", per_type=per_type, shuffle=True, workers=2
    )
    run(config, place / "experience")
    Bank.create(place / "bank").add(RunDirectory(place / "experience").episodes())
    return place / "bank"


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    games, alone, steps, stored = sized(options, full=(134, 2, 50, 40), quick=(16, 1, 10, 10), smoke=(2, 1, 2, 2))
    with Figures("learning_rollouts", options) as figures, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        spec = f"hf:{options.model or make_model(folder / 'model')}?max_new_tokens=24&dtype=bfloat16"
        bank = fill_bank(folder, stored)
        values = {
            "environment": "alfworld",
            "split": "valid_unseen",
            "max_steps": steps,
            "limit": games,
            "formatter": "plan",
            "formatter_options": {"observations": 70},
            "index_state": "matched",
        }
        together = Games(spec, bank, concurrency=16, **values)
        peer = Games(f"{spec}&engine=false", bank, concurrency=1, **values)
        try:
            slow = rate(peer, peer.tasks[:alone])
            note(f"one by one: {slow:.2f} steps a second")
            began = time.perf_counter()
            fast = rate(together, together.tasks)
            minutes = (time.perf_counter() - began) / 60
        finally:
            together.close()
            peer.close()
        figures.extend({"games": len(together.tasks), "minutes": round(minutes, 1), "steps_a_second": round(fast, 1)})
        figures.add("ratio", round(fast / slow, 2))


if __name__ == "__main__":
    start(main)
