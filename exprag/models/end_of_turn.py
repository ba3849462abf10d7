"""What ends an assistant's turn: one definition, for the rows that teach it and for the models that stop at it.

A chat template writes a special token after each turn (`<|im_end|>`, `<end_of_turn>`, …), which rows teach. The base model's own
end-of-sequence token may be another: a tuned base that stops there only talks on, and plays the user.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exprag.errors import ConfigError
from exprag.models.chat_template import ChatTemplate

_TURN = "two"


def end_of_turn(template: ChatTemplate) -> str | None:
    """What the template writes after an assistant's turn, up to and with its first special token; None where there is none.

    Raises ConfigError for a template that does not write the turn as it was said.
    """
    tokenizer = template.tokenizer
    before = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one"}]
    chat = [*before, {"role": "assistant", "content": _TURN}, {"role": "user", "content": "three"}]
    prompt, later = template.render(before), template.render(chat)
    rest = later[len(prompt) :] if later.startswith(prompt) else later.partition("one")[2]
    _, turn, after = rest.partition(_TURN)
    if not turn:
        raise ConfigError(
            f"The chat template of {template.name!r} does not write an assistant's turn as it was said.", cure="Use another one."
        )
    tokens = {str(token) for token in (*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens)}
    ends = [(place, -len(token)) for token in tokens if token and (place := after.find(token)) >= 0]
    if not ends or min(ends)[0] > after.find("three"):
        return None
    place, length = min(ends)
    return after[: place - length]


def stop_ids(template: ChatTemplate | None, tokenizer: Any, *configs: Any) -> list[int]:
    """The ids of the tokens at which generation stops: the base's own, of configurations and tokenizer, and the template's."""
    ids: list[int | None] = [*own_ids(*configs), *_listed(getattr(tokenizer, "eos_token_id", None))]
    end = end_of_turn(template) if template is not None else None
    if end is not None:
        ids.append(_token_id(tokenizer, end))
    return list(dict.fromkeys(id for id in ids if id is not None))


def own_ids(*configs: Any) -> list[int]:
    """The end-of-sequence ids that a model's configurations (generation config, config) name."""
    return [id for config in configs for id in _listed(getattr(config, "eos_token_id", None))]


def base_stops(template: ChatTemplate, *configs: Any) -> bool:
    """Whether a base with these configurations stops by itself where the template ends a turn; True if the template has no end.

    Where it does not, a server that knows only the base's own end needs the template's as a stop token.
    """
    end = end_of_turn(template)
    own = own_ids(*configs) or _listed(getattr(template.tokenizer, "eos_token_id", None))
    return end is None or _token_id(template.tokenizer, end) in own


def _token_id(tokenizer: Any, end: str) -> int | None:
    """The id of the special token at the end of a text."""
    ids: list[int] = tokenizer(end, add_special_tokens=False)["input_ids"]
    return ids[-1] if ids else None


def _listed(ids: int | Iterable[int] | None) -> list[int]:
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)
