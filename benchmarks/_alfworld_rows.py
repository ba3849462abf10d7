"""What `row_tokens` and `row_building` share: real ALFWorld episodes, and a tokenizer trained on their words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from exprag.runs import RunConfig, RunDirectory, run
from exprag.trajectory import Trajectory

EASY = ("look_at_obj_in_light", "pick_clean_then_place_in_recep", "pick_and_place_simple")  # ExpRAG, section 4
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
VOCABULARY = 8192


def episodes(folder: Path, limit: int | None = None) -> list[Trajectory]:
    """The expert's episodes of the easy train games, all 1,748 or a seeded draw of them, in the order of the tasks' ids."""
    config = RunConfig.make(
        policy="expert", environment="alfworld", split="train", types=EASY, limit=limit, shuffle=limit is not None, workers=2
    )
    run(config, folder)
    return sorted(RunDirectory(folder).episodes(), key=lambda episode: episode.task.id)


def make_tokenizer(texts: Iterable[str]) -> Any:
    """A byte-level BPE trained on these texts, with a ChatML template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    specials = ["<|im_start|>", "<|im_end|>", "<|pad|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=specials, initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|pad|>", chat_template=CHATML)
