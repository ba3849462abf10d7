"""What one row per episode saves over one row per step.

    ALFWORLD_DATA=… python benchmarks/row_tokens.py [--json] [--quick]

The expert's episodes of 500 of ALFWorld's easy train games become rows twice, with the same memory (K = 2, static, lexical) and
the same tokenizer, trained on their text: each episode as one row, whose turns share one pass, and each turn as a row of its own.
The same turns are learnt, token for token; that is checked. Seconds are those of forward and backward passes of a small Llama,
row by row, over a sample of the episodes in turns, scaled to all of them by tokens.

    tokens        tokens processed in an epoch, per step ÷ per episode (aim: at least 5)
    seconds       the same for seconds of an epoch
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _alfworld_rows import episodes, make_tokenizer

from exprag.bank import Bank
from exprag.training import DataConfig, Row, build_rows

SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}


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

    took = dict.fromkeys(ways, 0.0)
    chosen = sorted({row.trajectory for rows in ways.values() for row in rows})
    over(next(iter(ways.values()))[:1])  # the first pass allocates
    for episode in chosen:
        for way, rows in ways.items():
            took[way] += over([row for row in rows if row.trajectory == episode])
    return took


def learnt(rows: Sequence[Row]) -> dict[str, list[int]]:
    """By episode, the ids that are learnt, in order."""
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row.trajectory, []).extend(label for label in row.labels or () if label >= 0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="60 games: within a minute")
    options = parser.parse_args()
    games, sample = (60, 3) if options.quick else (500, 12)
    with tempfile.TemporaryDirectory() as place:
        played = episodes(Path(place) / "run", games)
        bank = Bank.create(Path(place) / "bank")
        bank.add(played)
        texts = [m["content"] for row in build_rows(played[:200], bank, DataConfig.make(k=2)) for m in row.messages]
        tokenizer = make_tokenizer(texts)
        ways = {"episode": DataConfig.make(k=2), "step": DataConfig.make(k=2, per_turn=True)}
        result: dict[str, Any] = {"benchmark": "row_tokens", "quick": options.quick, "games": len(played)}
        first: dict[str, list[Row]] = {}
        counts, told = {}, {}
        for way, config in ways.items():
            rows = build_rows(played, bank, config, tokenizer=tokenizer)
            chosen = sorted({t.id for t in played if t.success})[:sample]
            first[way] = [row for row in rows if row.trajectory in chosen]
            counts[way] = rows.report
            told[way] = {"rows": rows.report.rows, "tokens": rows.report.tokens, "longest": rows.report.longest}
        assert learnt(first["episode"]) == learnt(first["step"]), "both ways must learn the same tokens"
        assert counts["episode"].learnt == counts["step"].learnt
        for way, seconds in passes(first, len(tokenizer)).items():
            sampled = sum(len(row.input_ids or ()) for row in first[way])
            told[way]["seconds"] = round(seconds * counts[way].tokens / sampled, 1)
        result |= {f"per_{way}": values for way, values in told.items()}
        result["tokens"] = round(told["step"]["tokens"] / told["episode"]["tokens"], 1)
        result["seconds"] = round(told["step"]["seconds"] / told["episode"]["seconds"], 1)
    print(json.dumps(result) if options.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
