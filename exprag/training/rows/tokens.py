"""A chat as token ids with labels, for any chat template: the prompt of each trained turn is, id for id, the one that
the served model sends when the turn is asked for; the turn and its end-of-turn token are learnt.

A row's text is the prompt of its last turn, as the template renders it with `add_generation_prompt`, then the turn and the end
of turn. So no turn is seen in another rendering than at serving, whatever the template does to a chat's last message. What ends
a turn is read once from a short chat: from `{% generation %}` markers where the template has them and they include the end of
turn, else it is what `exprag.models.end_of_turn` says for serving too. That earlier prompts are prefixes is checked in every row;
a template that rewrites earlier turns (strips thoughts, say) is refused, or trained with one row per turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError
from exprag.models.chat_template import ChatTemplate, fold
from exprag.models.end_of_turn import end_of_turn
from exprag.models.tokens import tokenizer_hash
from exprag.text import encodable

if TYPE_CHECKING:
    from exprag.training.rows.description import Description

IGNORED = -100
"""The label of a token that is not learnt: what PyTorch's cross entropy passes over."""
Message = dict[str, str]

_TURN = "two"
_UNLIMITED = 10_000_000  # tokenizers without a limit of their own name a number with thirty digits


@dataclass(frozen=True)
class Tokens:
    """One chat as ids and labels of one length."""

    input_ids: list[int]
    """The chat."""
    labels: list[int]
    """The ids where they are learnt, -100 elsewhere."""

    @property
    def trained(self) -> int:
        """How many of the ids are learnt."""
        return len(self.labels) - self.labels.count(IGNORED)


class ChatTokens:
    """Tokenises chats with one tokenizer. Raises ConfigError for a tokenizer that cannot be trained with.

    template            how chats become text, as at serving; `system` and `chat_template_kwargs` are its options
    lead, end_of_turn   what the template writes round a turn of the assistant; learnt with it
    marked              whether the template's `{% generation %}` markers say so too
    limit               the most tokens that the tokenizer's model takes; None: it does not say
    """

    def __init__(self, tokenizer: Any, system: str = "auto", chat_template_kwargs: Mapping[str, Any] | None = None) -> None:
        self.template = ChatTemplate(tokenizer, system, chat_template_kwargs)
        if tokenizer.pad_token is None and tokenizer.eos_token is None:
            raise ConfigError(
                f"The tokenizer of {name_of(tokenizer)!r} has no pad token and no end-of-sequence token: batches cannot be made.",
                cure="Set tokenizer.pad_token to a token of its vocabulary.",
            )
        self.tokenizer = tokenizer
        longest = int(tokenizer.model_max_length)
        self.limit = longest if longest < _UNLIMITED else None
        self._added = {*tokenizer.get_added_vocab().values(), *tokenizer.all_special_ids}
        self._tail = lru_cache(maxsize=256)(self._ids)
        self._checked = False
        self._read_template()

    def encode(self, messages: Sequence[Message], train: Sequence[bool]) -> Tokens:
        """The ids and labels of a chat that ends with an assistant's turn; `train` has a flag for each message.

        Raises ConfigError where the prompt of a trained turn would not be a beginning of the row, and where the first prompt
        lacks the system message (task and memory) or the last observation.
        """
        *before, last = messages
        text = self.template.render(before)
        if not self._checked:
            if missing := self.template.missing(before, text):
                raise ConfigError(f"The chat template of {self.template.name!r} leaves out {missing}.", cure="Use another one.")
            self._checked = True
        turns = [n for n, trained in enumerate(train) if trained]
        spans = []
        for n in turns:
            start = len(text) if n == len(before) else self._starts(text, messages, n)
            spans.append((start, start + len(self._turn(messages[n]))))
        text += self._turn(last)
        ids, cuts = self._cut(text, [place for span in spans for place in span])
        labels = [IGNORED] * len(ids)
        for first, end in zip(cuts[::2], cuts[1::2], strict=True):
            labels[first:end] = ids[first:end]
        return Tokens(ids, labels)

    def count(self, text: str) -> int:
        """Tokens of a text, as `exprag.models.token_counter` counts them."""
        return len(self._ids(encodable(text)))

    def _turn(self, message: Message) -> str:
        content = message["content"]
        content = content.lstrip() if self._trims[0] else content
        content = content.rstrip() if self._trims[1] else content
        return self.lead + encodable(content) + self.end_of_turn

    def _starts(self, text: str, messages: Sequence[Message], n: int) -> int:
        """Where the turn of message `n` starts: after its prompt, with which the text must begin."""
        prompt = self.template.render(messages[:n])
        if not text.startswith(prompt) or not text.startswith(self._turn(messages[n]), len(prompt)):
            raise _rewrites(self.tokenizer)
        return len(prompt)

    def _cut(self, text: str, places: Sequence[int]) -> tuple[list[int], list[int]]:
        """The ids of a text, and for each of the places in it how many ids come before. Raises ConfigError where a token
        spans the place, or what comes before would have other ids alone: then the row is not what is served."""
        if not self.tokenizer.is_fast:
            return self._cut_slowly(text, places)
        encoded = self.tokenizer(text, add_special_tokens=False, verbose=False)
        ids, cuts = encoded["input_ids"], []
        for number, place in enumerate(places):
            after = (encoded.char_to_token(later) for later in range(place, len(text)))  # None: of no token, as some spaces
            n = next((token for token in after if token is not None), len(ids))
            if number % 2 == 0:
                # Text between special tokens is tokenised by itself: what follows the last one decides.
                last = next((i for i in range(n - 1, 0, -1) if ids[i] in self._added), 0)
                if ids[last:n] != self._tail(text[encoded.token_to_chars(last).start if last else 0 : place]):
                    raise _rewrites(self.tokenizer)
            cuts.append(n)
        return ids, cuts

    def _cut_slowly(self, text: str, places: Sequence[int]) -> tuple[list[int], list[int]]:
        ids = self._ids(text)
        cuts = []
        for number, place in enumerate(places):
            alone = self._ids(text[:place])
            if number % 2 == 0 and ids[: len(alone)] != alone:
                raise _rewrites(self.tokenizer)
            cuts.append(len(alone))
        return ids, cuts

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _read_template(self) -> None:
        """What the template writes round a turn, from short chats."""
        chat = _probe(_TURN)
        end = end_of_turn(self.template)
        if end is None:
            raise ConfigError(
                f"The chat template of {self.template.name!r} ends an assistant's turn with no special token: a model trained "
                "with it would not learn to stop.",
                cure="Let it write the end-of-sequence token after what the assistant said.",
            )
        extends, rest = self._after_prompt(chat)
        lead, _, after = rest.partition(_TURN)
        marked = self._marked(chat)
        self.marked = marked.startswith(end) and after.startswith(marked)
        self.end_of_turn = marked if self.marked else end
        self.lead = lead if extends else ""  # else each turn has a row of its own, and follows its prompt
        spaced = self._after_prompt(_probe(f"  {_TURN}  "))[1]
        self._trims = (f"{lead}  {_TURN}" not in spaced, f"{_TURN}  " not in spaced)

    def _after_prompt(self, chat: Sequence[Message]) -> tuple[bool, str]:
        """Whether a later prompt begins with the prompt of the chat's turn, and what stands after that."""
        later, prompt = self.template.render(chat), self.template.render(chat[:2])
        extends = later.startswith(prompt)
        return extends, later[len(prompt) :] if extends else later.partition(chat[1]["content"])[2]

    def _marked(self, chat: Sequence[Message]) -> str:
        """What stands inside the template's markers after the turn of a short chat; "" without markers."""
        if not re.search(r"\{%-?\s*generation\s*-?%\}", self.tokenizer.get_chat_template()):
            return ""
        marked = self.tokenizer.apply_chat_template(
            list(fold(chat) if self.template.folds else chat),
            add_generation_prompt=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
            **self.template.kwargs,
        )
        ids = [id for id, inside in zip(marked["input_ids"], marked["assistant_masks"], strict=True) if inside]
        return str(self.tokenizer.decode(ids)).partition(_TURN)[2]


def _probe(turn: str) -> list[Message]:
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": turn},
        {"role": "user", "content": "three"},
    ]


def check_tokenizer(description: Description, tokenizer: Any) -> None:
    """Raises ConfigError where the dataset was tokenised by another tokenizer than this."""
    record = description.tokenizer
    if record is not None and record.hash != tokenizer_hash(tokenizer):
        raise ConfigError(
            f"The dataset was built with another tokenizer ({record.name!r}, {record.hash}) than {name_of(tokenizer)!r} "
            f"({tokenizer_hash(tokenizer)}).",
            cure="Build it again with --tokenizer of the model to be trained, or without one: it is then tokenised for training.",
        )


def name_of(tokenizer: Any) -> str:
    return str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)


def _rewrites(tokenizer: Any) -> ConfigError:
    return ConfigError(
        f"The chat template of {name_of(tokenizer)!r} writes earlier turns otherwise than when they were said: "
        "turns of one episode cannot share a row.",
        cure="Set per_turn = true (one row per turn), or use a chat template that leaves earlier turns as they are.",
    )
