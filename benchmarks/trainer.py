"""What training costs on top of TRL, and what packing saves: tokens per second, side by side.

    python benchmarks/trainer.py [--json] [--quick]

A Llama of some two million parameters is made on the spot, and 96 rows with the lengths of real episodes (150 to 1,200 tokens,
most of them short). Each side trains the same LoRA on them; only the training loop is timed. Sides alternate, and a ratio is
the median over the repetitions.

    ours_to_bare       exprag.training ÷ a bare SFTTrainer on the same ready rows with the same settings; aim: at least 0.95
    packing_on_to_off  packed episodes ÷ padded batches of four: tokens of rows, padding not counted
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # the bare trainer's: ours sends none

VOCABULARY = 1024
ALIKE = (
    *("per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "learning_rate", "max_length"),
    *("lr_scheduler_type", "optim", "max_grad_norm", "bf16", "gradient_checkpointing", "seed", "logging_steps", "save_strategy"),
    *("report_to", "dataloader_pin_memory", "use_cpu", "disable_tqdm", "dataset_kwargs"),
)


def make_base(folder: Path) -> str:
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {"<pad>": 0, "<end>": 1} | {f"w{n}": n for n in range(2, VOCABULARY)}
    raw = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<end>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}<end>{% endfor %}"
    shape = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 6}
    config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=2048, pad_token_id=0, eos_token_id=1, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def make_rows(count: int) -> Any:
    from datasets import Dataset

    rng = random.Random(0)
    rows = []
    for _ in range(count):
        ids = [rng.randrange(2, VOCABULARY) for _ in range(min(1200, 150 + int(rng.expovariate(1 / 200))))]
        rows.append({"input_ids": ids, "labels": [i if n % 4 == 0 else -100 for n, i in enumerate(ids)]})
    return Dataset.from_list(rows)


def ours(rows: Any, base: str, out: Path, **overrides: Any) -> Any:
    """Our trainer, ready to train."""
    from transformers import AutoConfig, AutoTokenizer

    from exprag.models.cards import Card, describe_base
    from exprag.training import load_recipe
    from exprag.training.sft.lora import make_trainer
    from exprag.training.sft.trainer import on_this_machine

    tokenizer = AutoTokenizer.from_pretrained(base)
    recipe = on_this_machine(load_recipe(num_train_epochs=1, **overrides))
    card = Card(base=describe_base(base, AutoConfig.from_pretrained(base), tokenizer), recipe=recipe.model_dump(mode="json"))
    out.mkdir(parents=True)
    return make_trainer(rows, {}, tokenizer, out, card)


def bare(rows: Any, base: str, out: Path, trainer: Any) -> Any:
    """TRL alone, with the settings of our trainer."""
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    args = trainer.args
    same = {name: getattr(args, name) for name in ALIKE}
    adapter = LoraConfig(
        task_type="CAUSAL_LM", r=8, lora_alpha=16, lora_dropout=0.1, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]
    )
    config = SFTConfig(output_dir=str(out), model_init_kwargs={"dtype": "float32"}, **same)
    tokenizer = AutoTokenizer.from_pretrained(base)
    made = SFTTrainer(model=base, args=config, train_dataset=rows, processing_class=tokenizer, peft_config=adapter)
    from transformers.trainer_callback import PrinterCallback

    made.remove_callback(PrinterCallback)
    return made


def seconds(trainer: Any) -> float:
    """Of the training loop: wall time on a GPU; else time of this process, in which other work on the machine does not count."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    started = clock()
    trainer.train()
    return clock() - started


def compare(one: Callable[[Path], Any], other: Callable[[Path], Any], place: Path, repeats: int) -> tuple[float, list[float]]:
    """Seconds of `one` (median), and each ratio seconds of `other` ÷ seconds of `one`: the speed of one ÷ that of the other."""
    ratios, spent = [], []
    for number in range(repeats + 1):
        took = {}
        for side in (0, 1) if number % 2 else (1, 0):
            took[side] = seconds((one, other)[side](place / f"{number}-{side}"))
        if number:  # the first warms both up
            ratios.append(took[1] / took[0])
            spent.append(took[0])
    return statistics.median(spent), ratios


def measure(quick: bool) -> dict[str, Any]:
    rows = make_rows(12 if quick else 96)
    repeats = 2 if quick else 7
    tokens = sum(len(ids) for ids in rows["input_ids"])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        base = make_base(place / "base")
        alike = {"batch_size": 8, "device_batch_size": 2}
        settings = ours(rows, base, place / "settings", **alike)
        spent, speeds = compare(
            lambda out: ours(rows, base, out, **alike), lambda out: bare(rows, base, out, settings), place / "bare", repeats
        )
        packs = {"batch_size": 2, "device_batch_size": 1, "packing": True, "pack_length": 1600}
        padded = {"batch_size": 8, "device_batch_size": 4}
        _, packings = compare(
            lambda out: ours(rows, base, out, **packs), lambda out: ours(rows, base, out, **padded), place / "packed", repeats
        )
    return {
        "rows": len(rows),
        "tokens": tokens,
        "repeats": repeats,
        "tokens_per_second": round(tokens / spent),
        "ours_to_bare": round(statistics.median(speeds), 3),
        "ours_to_bare_range": [round(min(speeds), 3), round(max(speeds), 3)],
        "packing_on_to_off": round(statistics.median(packings), 3),
        "packing_on_to_off_range": [round(min(packings), 3), round(max(packings), 3)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="few rows, two repetitions")
    told = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    result = measure(told.quick)
    if told.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
