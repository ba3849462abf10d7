"""A tiny Llama with its own tokenizer and chat template, made on the spot: real loading, real generation, no download."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from training_fixtures import base, tokenizer, toy_bank, toy_dataset, toy_episodes  # noqa: F401 - fixtures

from exprag.errors import PluginError
from exprag.models import small

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("tiny") / "model"
    specials = ["<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate([*specials, *alphabet])}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(specials)
    fast_tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="<pad>", chat_template=CHAT_TEMPLATE
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(fast_tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    fast_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The folder of the real small model, unpacked once and kept between sessions in the system's folder for temporary files."""
    for package in ("torch", "transformers", "gguf"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    try:
        return small.fetch_small(Path(tempfile.gettempdir()) / "exprag-small-model")
    except PluginError as error:
        pytest.skip(str(error))
