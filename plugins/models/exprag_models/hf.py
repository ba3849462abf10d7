"""`hf:<model id or folder>`: the options of a local model, with nothing heavy imported before one is made."""

from __future__ import annotations

from typing import Any, Literal


def load(
    name: str,
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 2025,
    base: str | None = None,
    device: str | None = None,
    dtype: str = "auto",
    system: Literal["auto", "fold", "native"] | None = None,
    chat_template_kwargs: dict[str, Any] | None = None,
    engine: bool = True,
    cache_gigabytes: float = 4.0,
    device_map: str | None = None,
    quantization: Literal["4bit", "8bit"] | None = None,
    attention: str | None = None,
) -> Any:
    """A model id, a model folder or a LoRA adapter folder as a chat model. Raises ModelError naming what is missing.

    system                see `exprag.models.chat_template`; default: as the adapter was trained, else auto
    chat_template_kwargs  for the chat template, such as {"enable_thinking": false}; default: as the adapter was trained
    engine                whether calls are decoded together, and what a prompt shares with an earlier one is not read again
    cache_gigabytes       what the engine may keep of prompts that were read
    device, dtype         cpu, cuda:0 …; auto, float32, bfloat16 …
    device_map            auto: the layers are spread over all GPUs, in place of `device`
    quantization          the weights are packed when they are loaded (bitsandbytes); those that are packed already need no word
    attention             transformers' implementation, such as sdpa or flash_attention_2, where the engine is off: it has its own
    """
    from exprag_models.loading import load_local

    return load_local(
        name,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        base=base,
        device=device,
        dtype=dtype,
        system=system,
        chat_template_kwargs=chat_template_kwargs,
        engine=engine,
        cache_gigabytes=cache_gigabytes,
        device_map=device_map,
        quantization=quantization,
        attention=attention,
    )


load.concurrency = 16  # type: ignore[attr-defined]  # episodes that share the weights, unless the user says otherwise
