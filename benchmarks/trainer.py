"""What training costs on top of TRL, and what packing saves: tokens per second, side by side.

    python benchmarks/trainer.py [--json] [--quick | --smoke]

A Llama of some two million parameters is made on the spot, and 96 rows with the lengths of real episodes (150 to 1,200 tokens,
most of them short). Each side trains the same LoRA on them; only the training loop is timed. Sides alternate, and a ratio is
the median over the repetitions.

    ours_to_bare       exprag.training ÷ a bare SFTTrainer on the same ready rows with the same settings; aim: at least 0.95
    packing_on_to_off  packed episodes ÷ padded batches of four: tokens of rows, padding not counted
"""

from __future__ import annotations

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

from _output import Figures, make_parser, sized, start

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
    shape: dict[str, Any] = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 6}
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

    from exprag.training.sft.recipes import recipe_of

    same = {name: getattr(trainer.args, name) for name in ALIKE}
    recipe = recipe_of(trainer.card)
    adapter = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=recipe.target_modules if isinstance(recipe.target_modules, str) else list(recipe.target_modules),
    )
    options = {"dtype": "bfloat16" if trainer.args.bf16 else "float32"}
    config = SFTConfig(output_dir=str(out), model_init_kwargs=options, **same)
    tokenizer = AutoTokenizer.from_pretrained(base)
    bare_trainer = SFTTrainer(model=base, args=config, train_dataset=rows, processing_class=tokenizer, peft_config=adapter)
    from transformers.trainer_callback import PrinterCallback

    bare_trainer.remove_callback(PrinterCallback)
    return bare_trainer


def seconds(trainer: Any) -> float:
    """Of the training loop: wall time on a GPU; else time of this process, in which other work on the machine does not count."""
    import torch

    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    started = clock()
    trainer.train()
    return clock() - started


def compare(one: Callable[[Path], Any], other: Callable[[Path], Any], place: Path, repeats: int) -> tuple[float, list[float]]:
    """Seconds of `one` (median), and each ratio seconds of `other` ÷ seconds of `one`: the speed of one ÷ that of the other."""
    ratios, durations = [], []
    for number in range(repeats + 1):
        by_side = {}
        for side in (0, 1) if number % 2 else (1, 0):
            by_side[side] = seconds((one, other)[side](place / f"{number}-{side}"))
        if number:  # the first warms both up
            ratios.append(by_side[1] / by_side[0])
            durations.append(by_side[0])
    return statistics.median(durations), ratios


def main() -> None:
    options = make_parser(__doc__).parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    count, repeats = sized(options, full=(96, 7), quick=(12, 2), smoke=(8, 1))
    rows = make_rows(count)
    tokens = sum(len(ids) for ids in rows["input_ids"])
    with tempfile.TemporaryDirectory() as folder, Figures("trainer", options) as figures:
        figures.extend({"rows": len(rows), "tokens": tokens, "repeats": repeats})
        place = Path(folder)
        base = make_base(place / "base")
        same = {"batch_size": 8, "per_device_train_batch_size": 2}
        settings = ours(rows, base, place / "settings", **same)
        duration, ratios = compare(
            lambda out: ours(rows, base, out, **same), lambda out: bare(rows, base, out, settings), place / "bare", repeats
        )
        figures.add("tokens_per_second", round(tokens / duration))
        figures.add("ours_to_bare", round(statistics.median(ratios), 3), "at least 0.95")
        figures.add("ours_to_bare_range", [round(min(ratios), 3), round(max(ratios), 3)])
        packs = {"batch_size": 2, "per_device_train_batch_size": 1, "packing": True, "pack_length": 1600}
        batches = {"batch_size": 8, "per_device_train_batch_size": 4}
        _, ratios = compare(
            lambda out: ours(rows, base, out, **packs), lambda out: ours(rows, base, out, **batches), place / "packs", repeats
        )
        figures.add("packing_on_to_off", round(statistics.median(ratios), 3))
        figures.add("packing_on_to_off_range", [round(min(ratios), 3), round(max(ratios), 3)])


if __name__ == "__main__":
    start(main)
