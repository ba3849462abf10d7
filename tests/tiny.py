"""A Llama of a few thousand parameters with its own tokenizer and chat template, and rows for it, made on the spot."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_tokenizer(**other: Any) -> Any:
    """Byte by byte; `other` are arguments of PreTrainedTokenizerFast."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    specials = ["<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate([*specials, *alphabet])}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(specials)
    arguments = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "chat_template": CHAT_TEMPLATE} | other
    return PreTrainedTokenizerFast(tokenizer_object=raw, **arguments)


def make_model(folder: Path, tokenizer: Any = None, **shape: Any) -> Path:
    """Save an untrained model; `shape` are fields of LlamaConfig."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizer or make_tokenizer()
    torch.manual_seed(0)
    fields = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "initializer_range": 0.3,  # wide enough for a frozen head to be worth steering
        "max_position_embeddings": 8192,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **(fields | shape))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_rows(count: int = 12, longest: int = 60, seed: int = 0) -> Dataset:
    """Rows of unequal length, the second half of each trained: a few words, in random order."""
    from datasets import Dataset

    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        ids = [rng.randrange(6, 14) for _ in range(rng.randrange(longest // 3, longest))]
        half = len(ids) // 2
        rows.append({"input_ids": ids, "labels": [-100] * half + ids[half:]})
    return Dataset.from_list(rows)
