"""Chat models in this process: transformers behind langchain-huggingface, and LoRA adapters on them.

What langchain-huggingface leaves open is closed here: no async with a local pipeline (we run in a thread), `stop` ignored, no
usage, no word on why generation ended, special tokens added a second time to a prompt that its chat template already opened, a
prompt longer than the model's context, and a model that two threads must not enter at once: calls go to the shared engine, or one
after another where a model does not fit it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_huggingface import ChatHuggingFace
from pydantic import PrivateAttr

from exprag.errors import ConfigError, ModelError
from exprag.models.engine import Generated

# Special tokens that stay in an answer, since they say what of it is reasoning; styles take them off.
_TELLING = re.compile(
    r"think|thought|reason|channel|message|<\|(?:start|end)\|>|answer|response|begin_of|end_of_box", re.IGNORECASE
)


class LocalChat(ChatHuggingFace):
    """A local model as a chat model: greedy by default, async by a thread, usage in the model's own tokens.

    stops    ids of tokens at which an answer ends: the base's own and the chat template's
    engine   decodes the calls of all threads together; None: they are decoded one by one
    adapter  folder of the LoRA adapter, whose card says how it was trained; `engine_adapter` is its name in the engine, where it
             is one of several on the weights
    """

    template: Any
    stops: list[int] = []
    new_tokens: int = 64
    sampling_temperature: float | None = None  # None: greedy
    sampling_seed: int = 2025
    adapter: str | None = None
    engine_adapter: str | None = None
    engine: Any = None
    weights: Any = None  # kept as long as somebody decodes with them
    disable_streaming: bool = True  # an action is one line, and the stream of a local pipeline has no async form
    _lock: Any = PrivateAttr(default_factory=Lock)
    _checked: bool = PrivateAttr(default=False)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        stream: bool | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt = self.tokenizer(self._to_chat_prompt(messages), add_special_tokens=False)["input_ids"]
        limit = self._limit(len(prompt))
        answer = self._together(prompt, limit, stop) if self.engine else self._alone(prompt, limit, stop)
        text, ended = self._text(answer.tokens), answer.finish_reason == "stop"
        for end in stop or ():
            before, mark, _ = text.partition(end)
            text, ended = before, ended or bool(mark)
        length = len(prompt)
        usage = UsageMetadata(input_tokens=length, output_tokens=answer.written, total_tokens=length + answer.written)
        usage["input_token_details"] = {"cache_read": answer.cached}
        about = {"finish_reason": "stop" if ended else "length"}
        message = AIMessage(text, usage_metadata=usage, response_metadata={**about, "model_name": self.model_id})
        return ChatResult(generations=[ChatGeneration(message=message, generation_info=about)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        stream: bool | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await BaseChatModel._agenerate(self, messages, stop, run_manager, **kwargs)

    def _to_chat_prompt(self, messages: list[BaseMessage]) -> str:
        """The prompt as the chat template renders it; the first one is checked for task, memory and last observation."""
        chat = [{"role": _role(message), "content": str(message.text)} for message in messages]
        try:
            prompt = str(self.template.render(chat))
        except ConfigError as error:
            raise ModelError(error.message, cure=error.cure or "Use a model whose template takes such a chat.") from error
        if not self._checked:
            if missing := self.template.missing(chat, prompt):
                cure = "Use a model with another chat template."
                raise ModelError(f"The chat template of {self.model_id!r} leaves out {missing}.", cure=cure)
            self._checked = True
        return prompt

    def _limit(self, length: int) -> int:
        """How many tokens the answer to a prompt of this length may have. Raises ModelError where it does not fit the context."""
        context = _context(self.llm.pipeline.model.config)
        if context is None:
            return self.new_tokens
        if length >= context:
            raise ModelError(
                f"The prompt has {length:,} tokens, and the context of {self.model_id!r} holds {context:,}.",
                cure="Recall less (k, budget), shorten the history (history_budget), or use a model with a longer context.",
            )
        return min(self.new_tokens, context - length)

    def _together(self, prompt: list[int], limit: int, stop: list[str] | None) -> Generated:
        """The answer by the engine."""
        finished = (lambda tokens: any(end in self._text(tokens) for end in stop)) if stop else None
        generated: Generated = self.engine.generate(
            prompt,
            stop=self.stops,
            max_new_tokens=limit,
            temperature=self.sampling_temperature or 0.0,
            seed=self.sampling_seed,
            finished=finished,
            adapter=self.engine_adapter,
        )
        return generated

    def _alone(self, prompt: list[int], limit: int, stop: list[str] | None) -> Generated:
        """The same by transformers' own generation, one call after another."""
        model = self.llm.pipeline.model
        settings: dict[str, Any] = {
            "max_new_tokens": limit,
            "max_length": None,
            "eos_token_id": self.stops or None,
            "pad_token_id": self.tokenizer.pad_token_id,
            "top_p": None,
            "top_k": None,
            "do_sample": self.sampling_temperature is not None,
            "temperature": self.sampling_temperature,
            **({"stop_strings": stop, "tokenizer": self.tokenizer} if stop else {}),
        }
        inputs = torch.tensor([prompt], device=model.device)
        with self._lock, _seeded(self.sampling_seed if self.sampling_temperature else None), torch.no_grad():
            output = model.generate(input_ids=inputs, attention_mask=torch.ones_like(inputs), **settings)
        ids = output[0, len(prompt) :].tolist()
        reason = "stop" if ids and ids[-1] in self.stops else "length"
        return Generated(tuple(ids), reason, len(prompt), 0, len(ids))

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode([id for id in ids if self._is_text(id)]))

    def _is_text(self, id: int) -> bool:
        """Whether a generated token belongs to the answer: special ones do not, unless they mark reasoning."""
        if id in self.stops:
            return False
        added = self.tokenizer.added_tokens_decoder.get(id)
        special = id in self.tokenizer.all_special_ids or (added is not None and added.special)
        return not special or bool(_TELLING.search(str(self.tokenizer.convert_ids_to_tokens(id))))

    @property
    def _llm_type(self) -> str:
        return "exprag-local"


def _role(message: BaseMessage) -> str:
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, AIMessage):
        return "assistant"
    return "user" if isinstance(message, HumanMessage) else str(message.type)


def _context(config: Any) -> int | None:
    """Tokens that a model of this configuration can take; None where it does not say."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    names = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
    lengths = (getattr(text, name, None) for name in names)
    return next((length for length in lengths if isinstance(length, int) and length > 0), None)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Sampling draws the same numbers at each call, and leaves everybody else's generator alone."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
