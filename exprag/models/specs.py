"""Model specs: `kind[:name][?option=value&…]`, and which loader each kind has.

    case-based                             the case-based baseline, no model at all
    hf:<model id or local folder>          transformers in this process; a LoRA adapter folder too
    openai:<model>                         any OpenAI-compatible server: ?base_url=http://localhost:8000/v1

Options may stand in the spec, as keywords, or both (keywords win). A ready `BaseChatModel` passes through untouched.
Nothing heavy is imported before a spec asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr, ValidationError, validate_call

from exprag.errors import ConfigError, ModelError, closest


def load_model(spec: str | BaseChatModel, **options: Any) -> BaseChatModel:
    """The chat model of a spec.

    Raises ConfigError for an unknown kind or option, ModelError where an extra, a folder or a key is missing.
    """
    if isinstance(spec, BaseChatModel):
        if options:
            raise ConfigError("A ready chat model takes no options.", cure="Set them where the model is made.")
        return spec
    address, _, query = spec.strip().partition("?")
    kind, _, name = address.partition(":")
    if kind not in LOADERS:
        raise ConfigError(f"There is no model kind {kind!r} (in {spec!r}).", cure=_near(spec))
    if (kind == "case-based") != (not name):
        wanted = "takes no name" if name else "wants a name"
        raise ConfigError(f"The model kind {kind!r} {wanted} (in {spec!r}).", cure=f"Write {FORMS[kind]}.")
    told = {**dict(parse_qsl(query, keep_blank_values=True)), **options}
    loader = LOADERS[kind]
    try:
        return loader(name, **told) if name else loader(**told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        about = ".".join(str(part) for part in first["loc"])
        takes = ", ".join(n for n in loader.__annotations__ if n not in ("name", "return")) or "none"
        raise ConfigError(f"Option {about!r} of {spec!r}: {first['msg']}.", cure=f"Options of {kind}: {takes}.") from error


def _near(spec: str) -> str:
    near = closest(spec.partition(":")[0], list(LOADERS))
    return f"{near} Write one of: {', '.join(FORMS.values())}."


def _need(extra: str, *modules: str) -> None:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ModelError(f"The model needs {', '.join(missing)}.", cure=f"pip install 'exprag[{extra}]'")


@validate_call
def _case_based() -> Any:
    from exprag_models.case_based import CaseBased

    return CaseBased()


@validate_call
def _hf(
    name: str,
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 2025,
    base: str | None = None,
    device: str | None = None,
    dtype: str = "auto",
) -> Any:
    _need("hf", "torch", "transformers", "langchain_huggingface")
    from exprag.models.local import load_local

    return load_local(
        name, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed, base=base, device=device, dtype=dtype
    )


@validate_call
def _openai(
    name: str,
    *,
    base_url: str | None = None,
    temperature: float = 0.0,
    seed: int = 2025,
    max_tokens: int | None = None,
    timeout: float = 120.0,
    max_retries: int = 2,
) -> Any:
    _need("openai", "langchain_openai")
    from langchain_openai import ChatOpenAI

    url = base_url or os.environ.get("OPENAI_BASE_URL") or None
    key = os.environ.get("OPENAI_API_KEY") or ("none" if url else "")  # servers of one's own rarely ask for a key
    if not key:
        raise ModelError(
            f"The model 'openai:{name}' has neither a server nor a key.",
            cure="Set OPENAI_API_KEY, or name your own server: ?base_url=http://localhost:8000/v1 (or OPENAI_BASE_URL).",
        )
    about: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
    return ChatOpenAI(
        model=name,
        base_url=url,
        api_key=SecretStr(key),
        temperature=temperature,
        seed=seed,
        timeout=timeout,
        max_retries=max_retries,
        **about,
    )


LOADERS: dict[str, Callable[..., Any]] = {"case-based": _case_based, "hf": _hf, "openai": _openai}
FORMS = {"case-based": "case-based", "hf": "hf:<model id or folder>", "openai": "openai:<model>"}
