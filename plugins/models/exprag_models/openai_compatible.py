"""`openai:<model>`: any OpenAI-compatible server (vLLM, SGLang, llama.cpp, a cloud)."""

from __future__ import annotations

import os
from typing import Any

from pydantic import SecretStr

from exprag.errors import ModelError


def load(
    name: str,
    *,
    base_url: str | list[str] | None = None,
    api_key: str | None = None,
    temperature: float | None = 0.0,
    seed: int | None = 2025,
    max_tokens: int | None = None,
    timeout: float = 120.0,
    max_retries: int = 2,
    chat_template_kwargs: dict[str, Any] | None = None,
    extra_body: dict[str, Any] | None = None,
) -> Any:
    """The model of a server. Raises ModelError where there is neither server nor key.

    base_url              several servers of one model, as a list or with commas between: they take turns, and one that is down
                          is left out
    api_key               default: OPENAI_API_KEY; `$EXPRAG_MODEL_NAME` names an environment variable
    temperature, seed     None leaves them out, for servers that refuse them
    timeout               seconds that one attempt may take in all
    chat_template_kwargs  for the server's chat template, such as {"enable_thinking": false}
    extra_body            any other field of the request
    """
    from exprag_models.server import ServerChat, limited_clients

    base_url = base_url or os.environ.get("OPENAI_BASE_URL") or ""
    urls = [url.strip() for url in (base_url.split(",") if isinstance(base_url, str) else base_url) if url.strip()]
    key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if urls else "")  # your own server rarely asks for a key
    if not key:
        raise ModelError(
            f"The model 'openai:{name}' has neither a server nor a key.",
            cure="Set OPENAI_API_KEY, or name your own server: ?base_url=http://localhost:8000/v1 (or OPENAI_BASE_URL).",
        )
    body = {**(extra_body or {}), **({"chat_template_kwargs": chat_template_kwargs} if chat_template_kwargs is not None else {})}
    optional = {"temperature": temperature, "seed": seed, "max_tokens": max_tokens, "extra_body": body or None}
    settings = {option: value for option, value in optional.items() if value is not None}
    return ServerChat(
        model=name,
        base_url=urls[0] if urls else None,
        api_key=SecretStr(key),
        timeout=timeout,
        max_retries=max_retries,
        **limited_clients(timeout, urls),
        **settings,
    )
