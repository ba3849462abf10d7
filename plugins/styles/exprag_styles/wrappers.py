"""What models and servers leave round an answer, taken off: reasoning, channels, end-of-turn text, tags. Shared by all styles.

Reasoning   `<think>…</think>` and its kin, the forms of Mistral, Kimi, Cohere and Gemma, the channels of gpt-oss. Chat templates
            of thinking models write the opening mark into the prompt, so that only the closing one comes back: everything
            before an unpaired closing mark is reasoning. Reasoning that was cut off has no closing mark, and is all there is.
Turns       what ends a turn as text (`<|im_end|>`, `</s>`, …), and what the model then wrote for the other side
Wrappers    `<answer>`, `<response>`, `<output>` …: what is inside is the answer, what is outside was thought. `<action>` and its
            kin become a line `Action: …`
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NAMES = r"(?:\w+:)?(?:think|thinking|thoughts?|reasoning|analysis|reflection|scratchpad)"
_OPENING = (
    rf"<{_NAMES}(?:\s[^<>]*)?>|\[THINK\]|◁think▷|<\|(?:begin_of_thought|START_THINKING|think(?:ing)?)\|>|<\|channel>thought\b"
)
_CLOSING = rf"</{_NAMES}\s*>|\[/THINK\]|◁/think▷|<\|(?:end_of_thought|END_THINKING|/think(?:ing)?)\|>|<channel\|>"
_REASONING = re.compile(rf"(?P<open>{_OPENING})|(?P<close>{_CLOSING})", re.IGNORECASE)

# gpt-oss: <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…; without its special tokens
# "analysis…assistantfinal…".
_CHANNEL = re.compile(r"(?:<\|start\|>\s*\w*\s*)?<\|channel\|>\s*(\w+)(?:[^\n]*?<\|message\|>)?")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>")
_BARE_CHANNELS = re.compile(r"\s*analysis(.*?)assistantfinal(.*)", re.DOTALL)

_ROLE = r"(?:assistant|model|user|human|system|tool)"
_TURN_START = re.compile(
    r"\s*(?:<\|im_start\|>\s*assistant\b|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<start_of_turn>\s*model\b|"
    r"<\|turn>\s*model\b|<\|start_of_role\|>\s*assistant\s*<\|end_of_role\|>|<\|START_OF_TURN_TOKEN\|>|<\|CHATBOT_TOKEN\|>|"
    r"<\|START_RESPONSE\|>|<\|assistant\|>|<[|｜]Assistant[|｜]>|<\|start\|>\s*assistant\b|<s>|<bos>|<\|begin_of_text\|>|"
    r"(?:assistant|model)[ \t]*\n)",
)
_TURN_END = re.compile(
    r"<\|(?:im_end|im_start|im_sep|eot_id|eom_id|eot|eos|end|return|call|start|endoftext|end_of_text|endofturn|end_of_turn|"
    r"END_OF_TURN_TOKEN|START_OF_TURN_TOKEN|END_RESPONSE|start_header_id|start_of_role|user|system|assistant|observation)\|>|"
    r"<[|｜](?:end[▁_ ]of[▁_ ]sentence|User|Assistant)[|｜]>|</?s>|<(?:start|end)_of_turn>|<\|?turn\|?>|<eos>|\[EOS\]|\[/?INST\]|"
    rf"^[ \t]*{_ROLE}[ \t]*$",
    re.MULTILINE,
)

_ANSWERS = r"answer|final_answer|final|response|output|result|reply"
_ACTIONS = r"action|next_action|command|move"
_ANSWER = re.compile(rf"<({_ANSWERS})(?:\s[^<>]*)?>(.*?)(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_ACTION = re.compile(rf"<({_ACTIONS})(?:\s[^<>]*)?>\s*(.*?)\s*(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_BOX = re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|\Z)|\$*\\boxed\{(?:\\text\{)?([^{}]*)\}?\}\$*", re.DOTALL)
_STRAY_TAG = re.compile(rf"</(?:{_ANSWERS}|{_ACTIONS})\s*>", re.IGNORECASE)


@dataclass(frozen=True)
class Cleaned:
    """A model's text without its wrappers: the answer, what was thought before it, and a note for each kind that came off."""

    text: str
    thought: str
    notes: tuple[str, ...]


def clean(response: str, templates: Sequence[str] = ()) -> Cleaned:
    """Take reasoning, turn marks and wrappers off. Tags stay where an action template has tags itself. Never raises."""
    notes: list[str] = []
    text, thoughts = _channels(response, notes)
    text, reasoning = _reasoning(text, notes)
    thoughts += reasoning
    text = _one_turn(text, notes)
    if not any("<" in template for template in templates):
        text, before = _unwrap(text, notes)
        thoughts += before
    return Cleaned(text, " ".join(" ".join(thoughts).split()), tuple(notes))


def _channels(text: str, notes: list[str]) -> tuple[str, list[str]]:
    """(the final channel, the other channels); the text itself where it has none."""
    if bare := _BARE_CHANNELS.fullmatch(text):
        notes.append("channel marks")
        return bare[2], [bare[1]]
    marks = list(_CHANNEL.finditer(text))
    if not marks:
        return text, []
    notes.append("channel marks")
    ends = [*(mark.start() for mark in marks), len(text)]
    channels = [("analysis", text[: ends[0]])]
    channels += [(mark[1].lower(), text[mark.end() : end]) for mark, end in zip(marks, ends[1:], strict=True)]
    pieces = [(name, _CHANNEL_END.split(body, maxsplit=1)[0]) for name, body in channels]
    final = next((body for name, body in pieces if name == "final"), "")
    return final, [body for name, body in pieces if name != "final"]


def _reasoning(text: str, notes: list[str]) -> tuple[str, list[str]]:
    """(what stands outside reasoning marks, what stands inside or before an unpaired closing one)."""
    outside: list[str] = []
    inside: list[str] = []
    start, thinking = 0, False
    for mark in _REASONING.finditer(text):
        if mark["open"] and not thinking:
            outside.append(text[start : mark.start()])
        elif mark["close"] and thinking:
            inside.append(text[start : mark.start()])
        elif mark["close"]:
            inside += [*outside, text[start : mark.start()]]
            outside = []
        else:  # an opening mark spoken of in the reasoning
            continue
        start, thinking = mark.end(), bool(mark["open"])
        notes[:] = [*dict.fromkeys([*notes, "reasoning tags"])]
    (inside if thinking else outside).append(text[start:])
    return "".join(outside), inside


def _one_turn(text: str, notes: list[str]) -> str:
    """The first turn of a text that holds marks of turns."""
    whole = text
    while True:
        if opening := _TURN_START.match(text):
            text = text[opening.end() :]
            continue
        end = _TURN_END.search(text)
        if end is None:
            break
        before, after = text[: end.start()], text[end.end() :]
        if before.strip():
            more = _TURN_END.sub("", after).strip()
            notes.append("text after the end of the turn was left out" if more else "end-of-turn mark")
            return before
        text = after
    if text != whole:
        notes.append("turn marks")
    return text


def _unwrap(text: str, notes: list[str]) -> tuple[str, list[str]]:
    """(what stands inside the first answer tag, what stands outside it), with action tags written as labelled lines."""
    plain, before = text, []
    wrapper = next((hit for hit in _ANSWER.finditer(plain) if hit[2].strip()), None)
    if wrapper is not None:
        before = [plain[: wrapper.start()]]
        plain = wrapper[2]
    plain = _BOX.sub(lambda hit: hit[1] or hit[2] or "", plain)
    plain = _ACTION.sub(lambda hit: f"\nAction: {hit[2]}\n" if hit[2] else "", plain)
    plain = _STRAY_TAG.sub("", plain)
    if plain != text:
        notes.append("tags round the answer")
    return plain, [_STRAY_TAG.sub("", part) for part in before if part.strip()]
