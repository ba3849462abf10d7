"""Whether a base stops where its chat template ends a turn, said before rows teach it that end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from exprag.models.chat_template import ChatTemplate
from exprag.models.end_of_turn import base_stops, end_of_turn, own_ids


class StopsElsewhere(UserWarning):
    """A base stops at other tokens than those that end a turn of its chat template."""


def stop_note(template: ChatTemplate, base: str) -> str:
    """What to know where the base (a folder or id) does not stop at its template's end of turn; "" where it does. Only files that
    are on this machine are looked at; without any, the tokenizer's own end-of-sequence token counts."""
    configs = _configs(base)
    if base_stops(template, *configs):
        return ""
    tokenizer = template.tokenizer
    ids = own_ids(*configs) or [tokenizer.eos_token_id]
    own = ", ".join(repr(token) for token in tokenizer.convert_ids_to_tokens(list(dict.fromkeys(ids))))
    end = (end_of_turn(template) or "").strip()
    return (
        f"The base stops at {own}, but its chat template ends a turn with {end!r}. hf: stops at both; to another server give "
        f"{end!r} as a stop token, or a model trained on these rows talks on."
    )


def _configs(base: str) -> list[Any]:
    """The generation config and the config of a base, as far as they are on this machine. Nothing is downloaded."""
    from transformers import AutoConfig, GenerationConfig

    configs: list[Any] = []
    for kind in (GenerationConfig, AutoConfig) if base else ():
        with suppress(Exception):  # a folder that holds a tokenizer alone
            configs.append(kind.from_pretrained(base, local_files_only=True))
    return configs
