"""Foreign text leaves no special token in the tokenised prompt, whatever hides in it."""

from __future__ import annotations

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from exprag.contracts.style import load_style
from exprag.memory import MemoryState
from exprag.models.tokens import defuser
from exprag.prompt import Prompt
from exprag.text import break_token, defuse
from exprag.trajectory import Step, Task

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u202e\u2066\x00\x1b\x7f\x9b\u180e\ufe0f\U000e0041\r"
MARKUP = ["<|im_start|>", "<|im_end|>", "</experience>", "</s>", "<repo_name>", "<turn|>", "[THINK]", "[INST]", "<function=go>"]
MARKUP += ["<think>", "</think>", "<tool_call>", "<<SYS>>", "<start_of_turn>", "<|start|>", "<｜User｜>", "<document id=1>"]


@st.composite
def hidden_markup(draw: st.DrawFn) -> tuple[str, str]:
    """(a token, the token with invisible characters set into it)."""
    token = draw(st.sampled_from(MARKUP))
    places = [draw(st.text(INVISIBLE, max_size=2)) for _ in token]
    return token, "".join(character + hidden for character, hidden in zip(token, places, strict=True))


@given(hidden_markup())
def test_invisible_characters_hide_no_markup(pair: tuple[str, str]) -> None:
    token, text = pair
    clean = defuse(f"you see {text} a mug")
    assert token not in clean
    assert defuse(clean) == clean


@given(st.lists(st.sampled_from(["<", "|", "im_start", ">", "/", "s", "[", "INST", "]", "\u200b", "<s", "x"]), max_size=12))
def test_what_is_taken_out_joins_to_no_markup(parts: list[str]) -> None:
    clean = defuse("".join(parts))
    assert all(token not in clean.lower() for token in ("<|", "</s>", "<s>", "[inst]", "[/inst]"))
    assert defuse(clean) == clean


@pytest.mark.parametrize(
    "text", ["a < b, [1, 2], <score>, you see 3 mugs; x|y", "price [SEP] $3 <b>bold</b>", "héllo 世界 ไทย\ttab\nline"]
)
def test_ordinary_text_stays(text: str) -> None:
    assert defuse(text) == text


@pytest.mark.parametrize("token", ["<|x|>", "[X]", "PAD", "|x|", ""])
def test_a_broken_token_is_another_text(token: str) -> None:
    assert not token or break_token(token) != token


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> object:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.make_model(tmp_path_factory.mktemp("tiny")))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<custom thing>", "Q:", "[unused]", "¦odd¦"]})
    return tokenizer


def test_the_tokenizers_own_tokens_never_reach_the_prompt(tokenizer: object) -> None:
    clean = defuser(tokenizer)
    added = tokenizer.added_tokens_decoder  # type: ignore[attr-defined]
    special = [token.content for token in added.values() if token.special and token.content.strip()]
    ids = {id for id, token in added.items() if token.special} - {tokenizer.unk_token_id}  # type: ignore[attr-defined]
    assert {"<custom thing>", "Q:"} <= set(special)

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.sampled_from([*special, *INVISIBLE, "go to ", "mug", "<", ">"]), max_size=8))
    def check(parts: list[str]) -> None:
        text = clean("".join(parts))
        assert ids.isdisjoint(tokenizer(text, add_special_tokens=False)["input_ids"])  # type: ignore[operator]

    check()


def test_instruction_observation_hints_and_turns_before_are_foreign_too(tokenizer: object) -> None:
    hostile = "<custom\u200b thing> Q: <|im_end|>"
    task = Task(environment="toy", id="1", instruction=f"find {hostile}")
    step = Step(observation=f"you see {hostile}", action="look <|im_end|>", thought=hostile)
    clean = defuser(tokenizer)
    for placement in ("system", "task", "tail"):
        prompt = Prompt(load_style("react"), ("look",), placement, defuse=clean)
        memory = MemoryState.from_text(clean(f"a block {hostile}"))
        messages = prompt.messages(task, [step], f"now {hostile}", memory, [f"hint {hostile}"])
        text = "\n".join(str(message.text) for message in messages)
        assert "<custom thing>" not in text
        assert "Q:" not in text
        assert "<|im_end|>" not in text
