"""The base of a training: opened, checked, and where LoRA lands on it. No weight is loaded here.

A base may hold more than a language model (Gemma 3, Mistral 3 and Qwen2.5-VL see images). Rows are text, so LoRA goes on the
language model alone: other parts would get no gradient, on which training on several devices ends.
"""

from __future__ import annotations

import re
from typing import Any

from exprag.errors import ConfigError, ModelError, boundary
from exprag.models.architecture import language_model_class
from exprag.training.sft.recipes import Recipe

_CURE = "Check the name, the network and the files of the folder."
# Layers that carry a state from token to token (transformers' `layer_types`): in a pack it would run on into the next episode.
_STATEFUL = {"linear_attention", "conv", "hybrid", "hybrid_sliding", "mamba", "recurrent"}


def open_base(model: str) -> tuple[Any, Any]:
    """The transformers config and the tokenizer of a base. Raises ModelError with the loader's own reason."""
    from transformers import AutoTokenizer

    config = open_config(model)
    with boundary(ModelError, f"The tokenizer of the base {model!r} could not be opened", cure=_CURE):
        return config, AutoTokenizer.from_pretrained(model)


def open_config(model: str) -> Any:
    """The transformers config of a base. Raises ModelError with the loader's own reason."""
    from transformers import AutoConfig

    with boundary(ModelError, f"The base {model!r} could not be opened", cure=_CURE):
        return AutoConfig.from_pretrained(model)


def check_base(model: str, config: Any, recipe: Recipe) -> None:
    """The base is a language model that transformers knows, with the layers that the recipe trains.

    Raises ModelError for another kind of model, ConfigError for layers that it lacks and for packs that it would mix up.
    """
    cls = model_class(model, config)
    types = set(getattr(config.get_text_config(), "layer_types", None) or ())
    if recipe.packing and (getattr(cls, "_is_stateful", False) or types & _STATEFUL):
        raise ConfigError(
            f"The base ({config.model_type}) has layers that carry a state on: packed episodes would see each other.",
            cure="Set packing = false.",
        )
    if recipe.target_modules != "all-linear" or recipe.last_layers is not None or _holds_more(config):
        check_targets(model, config, recipe)


def model_class(model: str, config: Any) -> Any:
    """The class that the base is loaded as: the one that its config names, as TRL has it. Raises ModelError without one."""
    cls = language_model_class(config)
    if cls is None:
        name = (config.architectures or [""])[0]
        what = f"is a {name}, which is not a language model that transformers can load" if name else "names no architecture"
        raise ModelError(f"The base {model!r} ({config.model_type}) {what}.", cure="Use a chat model that writes text.")
    return cls


def check_targets(model: str, config: Any, recipe: Recipe) -> None:
    """Every target module of the recipe is a linear layer of the base's language model, which has the layers that it trains."""
    layers = _layer_count(config)
    if recipe.last_layers is not None and layers < recipe.last_layers:
        raise ConfigError(
            f"The base ({config.model_type}) has {layers} decoder layers; the recipe {recipe.name!r} trains the last "
            f"{recipe.last_layers}.",
            cure=f"Set last_layers to {layers} or less.",
        )
    linear, names = linear_layers(model, config)
    if recipe.target_modules == "all-linear":
        return
    missing = [t for t in recipe.target_modules if not any(name == t or name.endswith(f".{t}") for name in linear)]
    if missing:
        raise ConfigError(
            f"The base ({config.model_type}) has no linear layers {', '.join(missing)}, which recipe {recipe.name!r} trains.",
            cure=f'Set target_modules to some of {", ".join(names)}, or to "all-linear".',
        )


def linear_layers(model: str, config: Any) -> tuple[list[str], list[str]]:
    """The linear layers of the base's language model by their whole names, and the last words of those names but for the output
    layer's."""
    import torch
    from transformers.pytorch_utils import Conv1D

    skeleton, part = _skeleton(model, config)
    modules = [(name, module) for name, module in skeleton.named_modules() if name.startswith(part)]
    linear = [name for name, module in modules if isinstance(module, torch.nn.Linear | Conv1D)]
    head = {name for name, module in modules if module is skeleton.get_output_embeddings()}
    return linear, sorted({name.rpartition(".")[2] for name in linear if name not in head})


def lora_config(model: str, config: Any, recipe: Recipe) -> Any:
    """PEFT's LoraConfig of a recipe. Where the base holds more than a language model, the other parts are excluded by a pattern,
    which PEFT keeps in adapter_config.json."""
    from peft import LoraConfig

    targets: Any = recipe.target_modules
    layers = None
    if recipe.last_layers is not None:
        count = _layer_count(config)
        layers = list(range(count - recipe.last_layers, count))
        if targets == "all-linear":  # PEFT wants names where layers are chosen
            targets = linear_layers(model, config)[1]
    part = _skeleton(model, config)[1] if _holds_more(config) else ""
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        use_rslora=recipe.use_rslora,
        target_modules=targets if isinstance(targets, str) else list(targets),
        exclude_modules=rf"(?!{re.escape(part)}).*" if part else None,
        layers_to_transform=layers,
    )


def _layer_count(config: Any) -> int:
    return int(config.get_text_config().num_hidden_layers)


def _holds_more(config: Any) -> bool:
    return config.get_text_config() is not config


def _skeleton(model: str, config: Any) -> tuple[Any, str]:
    """The base without weights, and what the names of its language model's layers begin with; "" where that is all of it."""
    import torch

    with boundary(ModelError, f"The base {model!r} ({config.model_type}) could not be laid out"), torch.device("meta"):
        skeleton = model_class(model, config)(config)
        if not _holds_more(config):
            return skeleton, ""
        decoder = skeleton.get_decoder()
        return skeleton, next(f"{name}." for name, module in skeleton.named_modules() if module is decoder)
