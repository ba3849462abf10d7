"""Ids and labels from chat templates: tiny ones made here, and those of real models that come with TRL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_tokenizer

from exprag.errors import ConfigError
from exprag.models.tokens import tokenizer_hash
from exprag.training.rows.config import DataConfig
from exprag.training.rows.description import Description, TokenizerRecord
from exprag.training.rows.tokens import IGNORED, ChatTokens, check_tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def chat(turns: int = 3) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": "You act."}]
    for n in range(turns):
        messages += [{"role": "user", "content": f"You see {n}."}, {"role": "assistant", "content": f"go to {n}"}]
    return messages


def assistant(messages: list[dict[str, str]]) -> list[bool]:
    return [message["role"] == "assistant" for message in messages]


def with_template(template: str) -> Any:
    """A tokenizer for which every control token in the template is one token."""
    from tokenizers import AddedToken

    tokenizer = make_tokenizer(chat_template=template)
    tokens = re.findall(r"<[|｜][^<>|｜]+[|｜]>|<(?:start|end)_of_turn>|<turn\|>|<\|turn>", template)
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken(t, special=True) for t in sorted(set(tokens))]})
    return tokenizer


def learnt(tokenizer: Any, tokens: Any) -> str:
    return str(tokenizer.decode([label for label in tokens.labels if label != IGNORED]))


def check(tokenizer: Any, messages: list[dict[str, str]], train: list[bool]) -> str:
    """The ids before each learnt turn are those of its own prompt; returns what is learnt."""
    encoded = ChatTokens(tokenizer).encode(messages, train)
    ends = [n for n, (a, b) in enumerate(zip([IGNORED, *encoded.labels], encoded.labels, strict=False)) if a == IGNORED != b]
    turns = [n for n, trained in enumerate(train) if trained]
    assert len(ends) == len(turns)
    for start, n in zip(ends, turns, strict=True):
        prompt = tokenizer.apply_chat_template(messages[:n], tokenize=False, add_generation_prompt=True)
        assert encoded.input_ids[:start] == tokenizer(prompt, add_special_tokens=False)["input_ids"]
    assert encoded.trained == sum(label != IGNORED for label in encoded.labels)
    return learnt(tokenizer, encoded)


def test_turn_and_end_of_turn_are_learnt_with_and_without_markers(tokenizer: Any, marked_tokenizer: Any) -> None:
    messages = chat()
    plain, marked = (ChatTokens(t) for t in (tokenizer, marked_tokenizer))
    assert (plain.marked, marked.marked) == (False, True)
    assert plain.end_of_turn == marked.end_of_turn == "</s>"
    one, other = (c.encode(messages, assistant(messages)) for c in (plain, marked))
    assert one == other
    assert learnt(tokenizer, one) == "go to 0</s>go to 1</s>go to 2</s>"
    by_markers = marked_tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    assert one.input_ids == by_markers["input_ids"]
    assert [label != IGNORED for label in one.labels] == [bool(inside) for inside in by_markers["assistant_masks"]]


def test_only_the_turns_that_are_asked_for_are_learnt(tokenizer: Any) -> None:
    messages = chat(4)
    train = [False] * 9
    train[4] = train[8] = True
    assert check(tokenizer, messages, train) == "go to 1</s>go to 3</s>"


@given(st.lists(st.tuples(st.text(max_size=30), st.text(min_size=1, max_size=12)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_whatever_is_said(turns: list[tuple[str, str]]) -> None:
    tokenizer = make_tokenizer(chat_template=CHATML.replace("<|im_end|>", "</s>").replace("<|im_start|>", "<s>"))
    messages = [{"role": "system", "content": "s"}]
    for observation, turn in turns:
        messages += [{"role": "user", "content": observation}, {"role": "assistant", "content": turn}]
    check(tokenizer, messages, assistant(messages))


def test_markers_that_leave_out_the_end_of_turn_are_not_followed() -> None:
    template = (
        "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}"
        "{% else %}{{ m.content }}{% endif %}</s>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    tokens = ChatTokens(make_tokenizer(chat_template=template))
    assert (tokens.marked, tokens.end_of_turn) == (False, "</s>")


@pytest.mark.parametrize(
    ("content", "written"),
    [("m.content", "  go  "), ("m.content.strip()", "go"), ("m.content.lstrip()", "go  "), ("m.content.rstrip()", "  go")],
)
def test_templates_that_trim(content: str, written: str) -> None:
    template = (
        f"{{% for m in messages %}}<|{{{{ m.role }}}}|> {{{{ {content} }}}} </s>{{% endfor %}}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    messages = chat(2)
    messages[2]["content"] = messages[4]["content"] = "  go  "
    tokenizer = make_tokenizer(chat_template=template)
    assert check(tokenizer, messages, assistant(messages)) == f" {written} </s> {written} </s>"


REWRITES = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('Action:')[-1] if m.role == 'assistant' and not loop.last"
    " else m.content }}</s>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def test_a_template_that_rewrites_earlier_turns_needs_a_row_per_turn() -> None:
    tokens = ChatTokens(make_tokenizer(chat_template=REWRITES))
    messages = chat(2)
    assert tokens.encode(messages, assistant(messages)).trained > 0  # nothing in these turns to be rewritten
    messages[2]["content"] = "Thought: hm\nAction:go"
    with pytest.raises(ConfigError, match="per_turn = true"):
        tokens.encode(messages, assistant(messages))
    tokens.encode(messages, [False] * 4 + [True])


def test_a_token_across_the_beginning_of_a_turn_is_refused() -> None:
    """Where the prompt ends within a token of the whole, the row would not be what is served."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {t: i for i, t in enumerate(["</s>", "<|user|>", *alphabet, ":g"])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[(":", "g")]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(["</s>", "<|user|>"])
    template = (
        "{% for m in messages %}{{ 'A:' if m.role == 'assistant' else '<|user|>' }}{{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}A:{% endif %}"
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", chat_template=template)
    tokens, messages = ChatTokens(tokenizer), chat(2)
    with pytest.raises(ConfigError, match="writes earlier turns otherwise"):
        tokens.encode(messages, assistant(messages))
    messages[2]["content"] = messages[4]["content"] = "look"
    assert learnt(tokenizer, tokens.encode(messages, assistant(messages))) == "look</s>look</s>"


TEMPLATES = ("cohere", "gemma3", "glm4moe", "llama3", "llama3_1", "phi3", "qwen2_5", "qwen3", "qwen3_instruct_2507")
REWRITERS = ("deepseekv3", "qwen3_5_think")


@pytest.mark.parametrize("name", [*TEMPLATES, *(f"{name}_training" for name in ("gemma3", "llama3", "phi3", "qwen2_5", "qwen3"))])
def test_templates_of_real_models(name: str) -> None:
    tokenizer = with_template(real_template(name))
    messages = chat()
    text = check(tokenizer, messages, assistant(messages))
    tokens = ChatTokens(tokenizer)
    turn = "".join(f"{tokens.lead}go to {n}{tokens.end_of_turn}" for n in range(3))
    assert text == turn
    assert tokens.marked == name.endswith("_training")
    assert any(token in tokens.end_of_turn for token in tokenizer.get_added_vocab())


@pytest.mark.parametrize("name", REWRITERS)
def test_templates_of_reasoning_models_need_a_row_per_turn(name: str) -> None:
    tokenizer = with_template(real_template(name))
    messages = chat()
    with pytest.raises(ConfigError, match="per_turn = true"):
        ChatTokens(tokenizer).encode(messages, assistant(messages))
    assert "go to 2" in check(tokenizer, messages, [False] * 6 + [True])


def real_template(name: str) -> str:
    trl = pytest.importorskip("trl")
    return (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


SILENT = "{% for m in messages if m.role != 'assistant' %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chat_template": None}, "has no chat template"),
        ({"pad_token": None, "eos_token": None}, "no pad token and no end-of-sequence token"),
        ({"chat_template": "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"}, "no special token"),
        ({"chat_template": "{{ raise_exception('System role not supported') }}"}, "System role not supported"),
        ({"chat_template": "{{ messages[0].content }}</s>"}, "leaves out the first observation"),
        ({"chat_template": SILENT}, "does not write an assistant's turn"),
    ],
)
def test_a_tokenizer_that_cannot_be_trained_with_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChatTokens(make_tokenizer(**arguments))


def test_a_hash_tells_tokenizers_apart(tokenizer: Any, marked_tokenizer: Any, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer.save_pretrained(tmp_path / "there")
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path / "there")
    again(["a", "a longer one"], padding=True, truncation=True, max_length=4)  # what it did last is no part of it
    assert tokenizer_hash(again) == tokenizer_hash(tokenizer)
    assert tokenizer_hash(marked_tokenizer) != tokenizer_hash(tokenizer)
    assert tokenizer_hash(make_tokenizer(eos_token="<pad>")) != tokenizer_hash(tokenizer)
    record = TokenizerRecord(name="there", hash=tokenizer_hash(tokenizer))
    about = Description(config=DataConfig(), tokenizer=record)
    check_tokenizer(about, again)
    check_tokenizer(Description(config=DataConfig()), again)
    with pytest.raises(ConfigError, match="built with another tokenizer"):
        check_tokenizer(about, marked_tokenizer)


# Templates that take no system message: refusing it (with roles that must alternate), or passing over it without a word.
ALTERNATING = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
DROPPING = (
    "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LATE = (
    "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% for m in messages if m.role == 'system' %}<|system|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.mark.parametrize("template", [ALTERNATING, DROPPING, LATE], ids=["refuses", "drops", "writes it late"])
def test_a_template_without_a_system_role_gets_it_in_the_first_user_message(template: str) -> None:
    tokenizer, messages = make_tokenizer(chat_template=template), chat(2)
    tokens = ChatTokens(tokenizer)
    assert tokens.template.folds
    folded = [{"role": "user", "content": "You act.\n\nYou see 0."}, *messages[2:]]
    assert tokens.encode(messages, assistant(messages)) == tokens.encode(folded, assistant(folded))
    assert check(tokenizer, folded, assistant(folded)) == "go to 0</s>go to 1</s>"
    assert ChatTokens(tokenizer, "fold").encode(messages, assistant(messages)) == tokens.encode(messages, assistant(messages))
    with pytest.raises(ConfigError, match=r"cannot be used: it (refuses|leaves out|writes the system message).*system=fold"):
        ChatTokens(tokenizer, "native")


def test_folding_is_an_option_where_the_template_takes_a_system_message(tokenizer: Any) -> None:
    assert not ChatTokens(tokenizer).template.folds
    (ids, folded) = (ChatTokens(tokenizer, way).encode(chat(), assistant(chat())) for way in ("native", "fold"))
    assert ids == ChatTokens(tokenizer).encode(chat(), assistant(chat()))
    text = str(tokenizer.decode(folded.input_ids))
    assert text.startswith("<s><|user|>You act.\n\nYou see 0.</s><|assistant|>go to 0</s>")
    assert learnt(tokenizer, folded) == learnt(tokenizer, ids)


def test_a_prompt_that_lacks_the_memory_is_refused_before_the_first_row() -> None:
    """The short chat passes; the real system message is cut to its first lines."""
    template = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content[:60] if m.role == 'system' else m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    tokens, messages = ChatTokens(make_tokenizer(chat_template=template)), chat(2)
    messages[0]["content"] = "You act.\n\n<experience>\n" + "go to the shelf " * 10 + "\n</experience>\n\nYour task: find it"
    with pytest.raises(ConfigError, match=r"leaves out the system message \(task and memory\)"):
        tokens.encode(messages, assistant(messages))


def test_template_fields_are_passed_through() -> None:
    """Thinking switched off is part of the prompt and not learnt."""
    template = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% if enable_thinking is defined and not enable_thinking %}"
        "<think></think>{% endif %}{% endif %}"
    )
    tokenizer, messages = make_tokenizer(chat_template=template), chat(1)
    off = ChatTokens(tokenizer, chat_template_kwargs={"enable_thinking": False}).encode(messages, assistant(messages))
    on = ChatTokens(tokenizer).encode(messages, assistant(messages))
    assert str(tokenizer.decode(off.input_ids)).endswith("<|assistant|><think></think>go to 0</s>")
    assert str(tokenizer.decode(on.input_ids)).endswith("<|assistant|>go to 0</s>")
    assert learnt(tokenizer, off) == learnt(tokenizer, on) == "go to 0</s>"
