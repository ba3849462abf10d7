"""A small causal language model made on the spot, for machines that can download none.

    ALFWORLD_DATA=… python benchmarks/small_model.py --out FOLDER [--rows N] [--json] [--quick | --smoke]

The model is a Llama of some two million parameters with a tokenizer and a chat template of its own, saved as a Hugging Face
model folder: FOLDER/model. Its text is errands in ALFWorld's train rooms (`_errands`), written by exprag's own prompt: it learns
the language of the rooms, to look for things, and to imitate its memory, and never what the games mean by their goals. After an
interruption the same command continues where it stopped.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from _errands import SENTENCES, Errand, Kind, errands
from _output import Figures, make_parser, note, sized, start

from exprag.contracts.selector import Candidate
from exprag.contracts.style import load_style
from exprag.files import write_json
from exprag.memory import MemoryState
from exprag.plugins import create
from exprag.prompt import Prompt
from exprag.prompt.block import build_block
from exprag.trajectory import Trajectory

ROWS = 20_000
VOCABULARY = 2048
CONTEXT = 4096
SHAPE: dict[str, Any] = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "intermediate_size": 512,
}
ROW_TOKENS = 800  # longer rows are left out
BATCH_TOKENS = 1280  # small: at this size many steps teach more than exact ones
LEARNING_RATE = 1.5e-3
SEED = 2025

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
ROLES = ("system", "user", "assistant")
TEMPLATE = (
    "{{ '" + BEGIN + "' }}{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '" + END + "' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '" + END + "' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

Row = dict[str, Any]  # {"messages": […], "slips": [assistant turns not to learn], "kind": of the errand}


def make_rows(count: int, rooms: int | None = None, seed: int = SEED) -> Iterator[Row]:
    """Errands in this many rooms as chats, most of them with other errands of the same kind in the memory block."""
    environment = create("environment", "alfworld")
    tasks = list(environment.tasks("train"))
    rng = random.Random(seed)
    rng.shuffle(tasks)
    tasks = tasks[: rooms or max(200, count // 5)]
    kinds: dict[Kind, list[Errand]] = defaultdict(list)
    for batch in errands(environment, tasks, 8, seed):
        for errand in batch:
            kinds[errand.kind].append(errand)
    examples = {kind: [errand for errand in batch if not errand.slips] for kind, batch in kinds.items()}
    prompt = Prompt(load_style("act"), tuple(environment.action_templates))
    formatter = create("formatter", "chat_json")
    enough = min(20, max(map(len, kinds.values())))
    names = [kind for kind, batch in kinds.items() if len(batch) >= enough]
    weights = [len(kinds[kind]) ** 0.5 for kind in names]
    turn = {kind: rng.sample(kinds[kind], len(kinds[kind])) for kind in names}
    for number in range(count):
        kind = rng.choices(names, weights)[0]
        errand = turn[kind].pop()
        turn[kind] = turn[kind] or rng.sample(kinds[kind], len(kinds[kind]))
        sentence = rng.choice(SENTENCES)
        memory = [
            other.called(sentence, number).model_copy(update={"id": f"{number}-{i}"})
            for i, other in enumerate(_others(examples[kind], errand, rng, rng.choices((0, 1, 2), (9, 9, 2))[0]))
        ]
        block = build_block([Candidate(trajectory, 1.0) for trajectory in memory], formatter).text
        yield {
            "messages": chat(prompt, errand.called(sentence, number), block),
            "slips": sorted(errand.slips),
            "kind": f"{'+'.join(kind.doing)}>{kind.ending}x{kind.times}",
        }


def _others(pool: Sequence[Errand], errand: Errand, rng: random.Random, count: int) -> list[Errand]:
    """Errands of another room, now and then the ones most alike, as retrieval would find."""
    near = rng.random() < 0.5

    def alike(other: Errand) -> int:
        return (other.object == errand.object) + (other.place == errand.place)

    group = errand.trajectory.task.group
    drawn = [other for other in rng.sample(pool, min(len(pool), 12)) if other.trajectory.task.group != group]
    return sorted(drawn, key=alike, reverse=True)[:count] if near else drawn[:count]


def chat(prompt: Prompt, episode: Trajectory, memory: str) -> list[dict[str, str]]:
    *before, last = episode.steps
    messages = prompt.messages(episode.task, before, last.observation, MemoryState.from_text(memory))
    roles = {"system": "system", "human": "user", "ai": "assistant"}
    return [
        *({"role": roles[message.type], "content": str(message.text)} for message in messages),
        {"role": "assistant", "content": prompt.style.write(last)},
    ]


def train_tokenizer(rows: Sequence[Row], folder: Path) -> None:
    """A byte-level BPE whose words are the environment's phrases: a name, a number, and all that stands between them."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [message["content"] for row in rows for message in row["messages"]]
    names = sorted({name for text in texts for name in re.findall(r"\b([a-z]+) \d", text)}, key=len, reverse=True)
    # A name is the same token in a room, an action, a goal and a memory: that is what makes it easy to copy.
    pieces = rf"\b(?:{'|'.join(names)})\b| \d+|\"\}}, \{{\"role\": \"[a-z]+\", \"content\": \"|\n+|\. "
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pieces), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, BEGIN, END, *(f"<|{role}|>" for role in ROLES)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PAD, model_max_length=CONTEXT
    )
    whole.chat_template = TEMPLATE
    whole.save_pretrained(folder)


def encode(row: Row, tokenizer: Any) -> tuple[list[int], list[int]]:
    """Token ids and labels of a row: every message is learnt, but for the slips. To predict what the room answers takes the
    same copying of names as to act in it, and is most of what there is to learn from."""
    ids, labels, turn = [tokenizer.bos_token_id], [-100], 0
    for message in row["messages"]:
        role = [tokenizer.convert_tokens_to_ids(f"<|{message['role']}|>")]
        content = [*tokenizer(message["content"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        is_slip = message["role"] == "assistant" and turn in row["slips"]
        turn += message["role"] == "assistant"
        ids += role + content
        labels += [-100, *([-100] * len(content) if is_slip else content)]
    return ids, labels


def batches(rows: Sequence[tuple[list[int], list[int]]], seed: int) -> list[list[tuple[list[int], list[int]]]]:
    """Rows of like length together, each batch of about the same number of tokens; the batches in random order."""
    packs: list[list[tuple[list[int], list[int]]]] = [[]]
    for row in sorted(rows, key=lambda row: len(row[0])):
        if packs[-1] and (len(packs[-1]) + 1) * len(row[0]) > BATCH_TOKENS:
            packs.append([])
        packs[-1].append(row)
    random.Random(seed).shuffle(packs)
    return packs


def collate(batch: Sequence[Sequence[tuple[list[int], list[int]]]]) -> dict[str, Any]:
    import torch

    rows = batch[0]
    width = max(len(ids) for ids, _ in rows)
    pad = lambda values, filler: [*values, *[filler] * (width - len(values))]  # noqa: E731
    return {
        "input_ids": torch.tensor([pad(ids, 0) for ids, _ in rows]),
        "labels": torch.tensor([pad(labels, -100) for _, labels in rows]),
    }


def pretrain(rows: Sequence[Row], tokenizer: Any, out: Path, learning_rate: float = LEARNING_RATE) -> None:
    """Train from nothing, one pass over the rows, with checkpoints; save FOLDER/model, and FOLDER/pretraining.json: sizes and
    the training loss."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed
    from transformers.trainer_utils import get_last_checkpoint

    set_seed(SEED)
    encoded = [row for row in (encode(row, tokenizer) for row in rows) if len(row[0]) <= ROW_TOKENS]
    tokens = sum(len(ids) for ids, _ in encoded)
    note(f"{len(rows)} errands; {len(encoded)} are short enough: {tokens:,} tokens")
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **SHAPE,
        )
    )
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    work = out / "pretraining"
    arguments = TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.03,
        weight_decay=0.01,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        bf16=os.environ.get("BF16", "1") == "1",
        logging_steps=100,
        save_steps=500,
        save_total_limit=1,
        remove_unused_columns=False,
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        seed=SEED,
        disable_tqdm=True,
        dataloader_num_workers=0,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=batches(encoded, SEED), data_collator=collate)
    with contextlib.redirect_stdout(sys.stderr):  # losses; stdout is for figures
        result = trainer.train(resume_from_checkpoint=get_last_checkpoint(work) if work.is_dir() else None)
    model.save_pretrained(out / "model.partial")
    tokenizer.save_pretrained(out / "model.partial")
    sizes = {"errands": len(rows), "rows": len(encoded), "tokens": tokens, "parameters": model.num_parameters()}
    write_json(out / "pretraining.json", sizes | {"training_loss": round(result.training_loss, 3)})
    (out / "model.partial").replace(out / "model")


def make(out: Path, rows: int, rooms: int | None = None) -> Path:
    """The model folder, made if it is not there."""
    if (out / "model").is_dir():
        return out / "model"
    out.mkdir(parents=True, exist_ok=True)
    text = out / "rows.jsonl"
    if not text.exists():
        with open(out / "rows.partial", "w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in make_rows(rows, rooms))
        (out / "rows.partial").replace(text)
    with open(text, encoding="utf-8") as lines:
        chats = [json.loads(line) for line in lines]
    if not (out / "tokenizer").is_dir():
        train_tokenizer(random.Random(SEED).sample(chats, min(len(chats), 1500)), out / "tokenizer.partial")
        (out / "tokenizer.partial").replace(out / "tokenizer")
    from transformers import AutoTokenizer

    pretrain(chats, AutoTokenizer.from_pretrained(out / "tokenizer"), out)
    return out / "model"


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--rows", type=int, help=f"default: {ROWS}; with --quick 300")
    options = parser.parse_args()
    rows = options.rows or sized(options, full=ROWS, quick=300, smoke=8)
    with Figures("small_model", options) as figures:
        started = time.perf_counter()
        make(options.out, rows, rooms=sized(options, full=None, quick=None, smoke=4))
        figures.extend(json.loads((options.out / "pretraining.json").read_text(encoding="utf-8")))
        figures.add("seconds", round(time.perf_counter() - started, 1))


if __name__ == "__main__":
    start(main)
