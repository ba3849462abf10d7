"""Loads a local model: an id, a model folder, or a LoRA adapter folder on its base. Whatever a loader raises is a ModelError."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_huggingface import HuggingFacePipeline
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, pipeline

from exprag.errors import ExpragError, ModelError, RunError
from exprag.models.adapters import fits
from exprag.models.architecture import language_model_class
from exprag.models.cards import CARD, Card
from exprag.models.chat_template import ChatTemplate
from exprag.models.end_of_turn import stop_ids
from exprag.models.engine import Engine
from exprag.models.probe import engine_for
from exprag.models.shared import shared
from exprag_models.local import LocalChat
from exprag_models.weights import embedding_rows, fault, header

_ADAPTER = "adapter_config.json"
_USELESS = ("for details", "error(s) in loading", "you set `ignore_mismatched_sizes`", "if this is a private", "traceback", "we ")


def load_local(
    name: str,
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    base: str | None,
    device: str | None,
    dtype: str,
    system: str | None,
    chat_template_kwargs: Mapping[str, Any] | None,
    engine: bool,
    cache_gigabytes: float,
    device_map: str | None = None,
    quantization: str | None = None,
    attention: str | None = None,
) -> LocalChat:
    """The model as a chat model. `system` and `chat_template_kwargs` of an adapter are by default those of its card.

    Chat models of one process that name the same weights share them, and the engine that decodes for them. So do LoRA adapters
    on one base: each call says which it is for.

    Raises ModelError naming what is missing or damaged.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise ModelError(f"There is no model folder {name!r}.", cure="Give an existing folder, or a model id such as owner/name.")
    place = str(folder) if folder.is_dir() else name
    adapter = (folder / _ADAPTER).is_file()
    base_place = _base_of(folder, base) if adapter else place
    for each in {base_place, place}:
        if Path(each).is_dir() and (problem := fault(Path(each), adapter=adapter and each == place)):
            raise ModelError(f"The model {name!r} could not be loaded: {problem[0]}.", cure=problem[1])
    own_words = not adapter or (folder / "tokenizer_config.json").is_file()
    words = place if own_words else base_place
    with _loading("tokenizer", words, "Check the tokenizer's files, or copy them from the same model again."):
        tokenizer = AutoTokenizer.from_pretrained(words)
    loader = _Loader(name, base_place, tokenizer, device, dtype, device_map, quantization, attention)
    chosen, weights = None, None
    if adapter and engine:
        base_weights = loader.load(engine, cache_gigabytes)
        if base_weights.engine is not None and fits(base_weights.pipeline.model, _tensors(folder)):
            with loader.loading_adapter(folder):
                chosen = base_weights.engine.adapters.load(folder, _changed(folder))
            weights = base_weights
        del base_weights
    if weights is None:
        weights = loader.load(engine, cache_gigabytes, folder if adapter else None)
    card = _card(folder) if adapter else None
    try:
        template = ChatTemplate(
            tokenizer,
            system or (card.system if card else "auto"),
            chat_template_kwargs if chat_template_kwargs is not None else (card.chat_template_kwargs if card else {}),
        )
    except ExpragError as error:
        raise ModelError(error.message, cure=error.cure) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = weights.pipeline.model
    return LocalChat(
        llm=HuggingFacePipeline(pipeline=weights.pipeline, model_id=name),
        tokenizer=tokenizer,
        template=template,
        stops=stop_ids(template, tokenizer, model.generation_config, model.config),
        new_tokens=max_new_tokens,
        sampling_temperature=temperature if temperature > 0 else None,
        sampling_seed=seed,
        adapter=place if adapter else None,
        engine_adapter=chosen,
        engine=weights.engine,
        weights=weights,
    )


@dataclass
class _Weights:
    """A loaded model in its pipeline, and the engine that decodes for it; None where it is decoded call by call."""

    pipeline: Any
    engine: Engine | None


@dataclass(frozen=True)
class _Loader:
    """How weights are loaded: a base and the options of transformers for it."""

    name: str
    base: str
    tokenizer: Any
    device: str | None
    dtype: str
    device_map: str | None
    quantization: str | None
    attention: str | None

    def load(self, engine: bool, cache_gigabytes: float, adapter: Path | None = None) -> _Weights:
        """The weights, with an adapter in them where it needs a model of its own; those that somebody uses already are shared."""
        about = (self.device, self.dtype, self.device_map, self.quantization, self.attention, engine, cache_gigabytes)
        places = (self.base, _changed(Path(self.base)), adapter and str(adapter), adapter and _changed(adapter))
        return shared((*places, *about), lambda: self._load(engine, cache_gigabytes, adapter))

    def _load(self, engine: bool, cache_gigabytes: float, adapter: Path | None) -> _Weights:
        options: dict[str, Any] = {"device_map": self.device_map, "attn_implementation": self.attention}
        options = {name: value for name, value in options.items() if value is not None}
        if self.quantization is not None:
            with _loading("quantization", self.base, "pip install bitsandbytes, or load a model that is quantized already."):
                from transformers import BitsAndBytesConfig

                options["quantization_config"] = BitsAndBytesConfig(**{f"load_in_{self.quantization}": True})
        with _loading("model", self.base, "Check the name, the network and the files of the folder."):
            model_class = language_model_class(AutoConfig.from_pretrained(self.base)) or AutoModelForCausalLM
            model = model_class.from_pretrained(self.base, dtype=self.dtype, **options)
        if adapter is not None:
            with self.loading_adapter(adapter):
                model = _adapted(model, adapter, len(self.tokenizer))
        pipe = pipeline("text-generation", model=model.eval(), tokenizer=self.tokenizer, device=self.device)
        return _Weights(pipe, engine_for(pipe.model, int(cache_gigabytes * 2**30)) if engine else None)

    def loading_adapter(self, adapter: Path) -> AbstractContextManager[None]:
        """What a loader raises becomes a ModelError that names the adapter and asks for its base."""
        cure = f"Was it trained on another base than {self.base}? Name it: hf:{self.name}?base=FOLDER"
        return _loading("adapter", str(adapter), cure)


def _tensors(adapter: Path) -> dict[str, Any]:
    """The tensors of an adapter's folder by name, as the headers of its files describe them."""
    return {name: tensor for path in sorted(adapter.glob("*.safetensors")) for name, tensor in header(path).items()}


def _changed(folder: Path) -> int:
    """When the files of a folder changed last: what was trained again under the same name is loaded again."""
    return max((path.stat().st_mtime_ns for path in folder.glob("*") if path.is_file()), default=0) if folder.is_dir() else 0


def _adapted(model: Any, folder: Path, words: int) -> Any:
    """The model with the adapter in it. Tokens that were added for the adapter get rows in the embeddings first."""
    from peft import PeftModel

    rows = model.get_input_embeddings().weight.shape[0]
    needed = embedding_rows(folder) or max(rows, words)
    if needed != rows:
        model.resize_token_embeddings(needed, mean_resizing=False)
    return PeftModel.from_pretrained(model, str(folder)).base_model.model


def _card(folder: Path) -> Card | None:
    if not (folder / CARD).is_file():
        return None
    try:
        return Card.read(folder)
    except RunError as error:
        raise ModelError(error.message, cure=error.cure) from error


def _base_of(adapter: Path, base: str | None) -> str:
    """The base of an adapter: as the user says, else as its config does, a relative folder being relative to the adapter."""
    path = adapter / _ADAPTER
    try:
        named = str(json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path") or "")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} is damaged: {error}.", cure="Copy or train the adapter again.") from error
    if not base and named and (adapter / named).is_dir():
        return str(adapter / named)
    place = base or named
    local = Path(place).is_absolute() or place.startswith(".")
    if not place or (local and not Path(place).is_dir()):
        raise ModelError(
            f"The adapter {str(adapter)!r} names the base model {place!r}, which is not there.",
            cure=f"Say where it is: hf:{adapter}?base=FOLDER",
        )
    return place


@contextmanager
def _loading(what: str, place: str, cure: str) -> Iterator[None]:
    """Whatever a loader raises becomes a ModelError naming what was loaded from where, and the line that says why."""
    try:
        yield
    except ExpragError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"The {what} in {place!r} could not be loaded: {useful_line(error)}", cure=cure) from error


def useful_line(error: BaseException, length: int = 300) -> str:
    """The line of a loader's message that says why: the first is often a heading, or talks of the network."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "mismatch" in line.lower()] or [
        line for line in lines if not line.lower().startswith(_USELESS) and not line.endswith(":")
    ]
    line = (telling or lines or [""])[0][:length]
    text = f"{type(error).__name__}: {line}" if line else type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
