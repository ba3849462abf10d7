"""Chat models in this process: transformers behind langchain-huggingface, and LoRA adapters on them.

What langchain-huggingface leaves open is closed here: no async with a local pipeline (we run in a thread), `stop` ignored
(handed to the generation as stop strings), no usage (tokens are counted), special tokens added a second time to a prompt
that its chat template already opened, and a pipeline that two threads must not enter at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_huggingface import ChatHuggingFace, HuggingFacePipeline
from pydantic import PrivateAttr
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from exprag.errors import ModelError

_ADAPTER = "adapter_config.json"


class LocalChat(ChatHuggingFace):
    """A local pipeline as a chat model: greedy by default, async by a thread, usage in the model's own tokens."""

    sampling_seed: int | None = None  # None: greedy
    adapter: str | None = None  # the folder of the LoRA adapter, whose card says how it was trained
    disable_streaming: bool = True  # an action is one line, and the stream of a local pipeline has no async form
    _lock: Any = PrivateAttr(default_factory=Lock)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        stream: bool | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt = self._to_chat_prompt(messages).encode("utf-8", "replace").decode("utf-8")  # tokenizers refuse surrogates
        ask = {"stop_strings": stop, "tokenizer": self.tokenizer} if stop else {}
        pipe = self.llm.pipeline
        with self._lock, _seeded(self.sampling_seed):
            text = pipe(prompt, **ask)[0]["generated_text"]
            told, said = (len(self.tokenizer(t, add_special_tokens=False)["input_ids"]) for t in (prompt, text))
        for end in stop or ():
            text = text.split(end)[0]
        usage = UsageMetadata(input_tokens=told, output_tokens=said, total_tokens=told + said)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text, usage_metadata=usage))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        stream: bool | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await BaseChatModel._agenerate(self, messages, stop, run_manager, **kwargs)

    @property
    def _llm_type(self) -> str:
        return "exprag-local"


def load_local(
    name: str,
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    base: str | None,
    device: str | None,
    dtype: str,
) -> LocalChat:
    """Load a model id, a model folder or a LoRA adapter folder. Raises ModelError naming what is missing."""
    folder = Path(name).expanduser()
    if not folder.is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise ModelError(f"There is no model folder {name!r}.", cure="Give an existing folder, or a model id such as owner/name.")
    place = str(folder) if folder.is_dir() else name
    adapter = (folder / _ADAPTER).is_file()
    base_place = _base_of(folder, base) if adapter else place
    try:
        own_words = not adapter or (folder / "tokenizer_config.json").is_file()
        tokenizer = AutoTokenizer.from_pretrained(place if own_words else base_place)
        model = AutoModelForCausalLM.from_pretrained(base_place, dtype=dtype)
        if adapter:
            model.load_adapter(place)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"The model {name!r} could not be loaded: {reason}", cure="Check the name, the network and the files of the folder."
        ) from error
    if not tokenizer.chat_template:
        raise ModelError(f"The tokenizer of {name!r} has no chat template.", cure="Use an instruction-tuned (chat) model.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    sampling = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False, "temperature": None}
    pipe = pipeline(
        "text-generation",
        model=model.eval(),
        tokenizer=tokenizer,
        device=device,
        return_full_text=False,
        add_special_tokens=False,
        max_new_tokens=max_new_tokens,
        top_p=None,
        top_k=None,
        **sampling,
    )
    llm = HuggingFacePipeline(pipeline=pipe, model_id=name)
    sampling_seed = seed if temperature > 0 else None
    return LocalChat(llm=llm, tokenizer=tokenizer, sampling_seed=sampling_seed, adapter=place if adapter else None)


def _base_of(adapter: Path, told: str | None) -> str:
    """The base model of an adapter: as told, else as its config says, a relative folder being relative to the adapter."""
    base = told or json.loads((adapter / _ADAPTER).read_text(encoding="utf-8")).get("base_model_name_or_path") or ""
    beside = adapter / base
    if base and not told and beside.is_dir():
        return str(beside)
    local = Path(base).is_absolute() or base.startswith(".")
    if not base or (local and not Path(base).is_dir()):
        raise ModelError(
            f"The adapter {str(adapter)!r} names the base model {base!r}, which is not there.",
            cure=f"Say where it is: hf:{adapter}?base=FOLDER",
        )
    return base


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Sampling draws the same numbers at each call, and leaves everybody else's generator alone."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
