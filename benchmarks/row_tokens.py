"""What one row per episode saves over one row per step.

    ALFWORLD_DATA=… python benchmarks/row_tokens.py [--json] [--quick | --smoke]

The expert's episodes of 500 of ALFWorld's easy train games become rows twice, with the same memory (K = 2, static, lexical) and
the same tokenizer, trained on their text: each episode as one row, whose turns share one pass, and each turn as a row of its own.
The same turns are learnt, token for token; that is checked. Seconds are those of forward and backward passes of a small Llama,
row by row, over a sample of the episodes in turns, scaled to all of them by tokens.

    tokens        tokens processed in an epoch, per step ÷ per episode (aim: at least 5)
    seconds       the same for seconds of an epoch
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _alfworld_rows import episodes, make_tokenizer
from _output import Figures, make_parser, sized, start

from exprag.bank import Bank
from exprag.training import DataConfig, Report, Row, build_rows

SHAPE: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}


def passes(ways: dict[str, list[Row]], vocabulary: int) -> dict[str, float]:
    """Seconds of one forward and backward pass over each row, by way; in turns, episode by episode."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    longest = max(len(row.input_ids or ()) for rows in ways.values() for row in rows)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, max_position_embeddings=longest, **SHAPE)).train()

    def over(rows: Sequence[Row]) -> float:
        started = time.perf_counter()
        for row in rows:
            model(input_ids=torch.tensor([row.input_ids]), labels=torch.tensor([row.labels])).loss.backward()
            model.zero_grad()
        return time.perf_counter() - started

    seconds = dict.fromkeys(ways, 0.0)
    ids = sorted({row.trajectory for rows in ways.values() for row in rows})
    over(next(iter(ways.values()))[:1])  # the first pass allocates
    for episode in ids:
        for way, rows in ways.items():
            seconds[way] += over([row for row in rows if row.trajectory == episode])
    return seconds


def targets(rows: Sequence[Row]) -> dict[str, list[int]]:
    """By episode, the ids that are learnt, in order."""
    ids: dict[str, list[int]] = {}
    for row in rows:
        ids.setdefault(row.trajectory, []).extend(label for label in row.labels or () if label >= 0)
    return ids


def main() -> None:
    options = make_parser(__doc__).parse_args()
    games, sample = sized(options, full=(500, 12), quick=(60, 3), smoke=(4, 1))
    with tempfile.TemporaryDirectory() as place, Figures("row_tokens", options) as figures:
        trajectories = episodes(Path(place) / "run", games)
        figures.add("games", len(trajectories))
        bank = Bank.create(Path(place) / "bank")
        bank.add(trajectories)
        texts = [m["content"] for row in build_rows(trajectories[:200], bank, DataConfig.make(k=2)) for m in row.messages]
        tokenizer = make_tokenizer(texts)
        ids = sorted({t.id for t in trajectories if t.success})[:sample]
        configs = {"episode": DataConfig.make(k=2), "step": DataConfig.make(k=2, per_turn=True)}
        samples: dict[str, list[Row]] = {}
        reports: dict[str, Report] = {}
        for way, config in configs.items():
            rows = build_rows(trajectories, bank, config, tokenizer=tokenizer)
            samples[way] = [row for row in rows if row.trajectory in ids]
            reports[way] = report = rows.report
            figures.add(f"per_{way}", {"rows": report.rows, "tokens": report.tokens, "longest": report.longest})
        assert targets(samples["episode"]) == targets(samples["step"]), "both ways must learn the same tokens"
        assert reports["episode"].learnt == reports["step"].learnt
        figures.add("tokens", round(reports["step"].tokens / reports["episode"].tokens, 1), "at least 5")
        seconds = {}
        for way, duration in passes(samples, len(tokenizer)).items():
            tokens = sum(len(row.input_ids or ()) for row in samples[way])
            seconds[way] = duration * reports[way].tokens / tokens
            figures.add(f"per_{way}_seconds", round(seconds[way], 1))
        figures.add("seconds", round(seconds["step"] / seconds["episode"], 1))


if __name__ == "__main__":
    start(main)
