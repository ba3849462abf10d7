"""A chat model from a short spec: `kind[:name][?option=value&…]`, for example `hf:./folder?max_new_tokens=32`.

`kind` is a model plugin (`exprag plugins` lists them; `distribution/kind` where two plugins share a name), `name` is what the
plugin calls its model. Options may stand in the spec, as keywords, or both (keywords win); each is converted to the type that
the plugin's factory declares. Nothing heavy is imported before a spec asks for it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import parse_qsl, urlencode

from langchain_core.language_models import BaseChatModel
from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from exprag.errors import ConfigError, ExpragError, ModelError, PluginError, boundary, closest
from exprag.models.credentials import public_spec, resolve_credentials
from exprag.plugins import Component, registry
from exprag.text import redact


@dataclass(frozen=True)
class ModelSpec:
    """A spec in its parts. `name` is "" where the spec has none; option values are text."""

    kind: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, spec: str) -> ModelSpec:
        address, _, query = spec.strip().partition("?")
        kind, _, name = address.partition(":")
        return cls(kind, name, dict(parse_qsl(query, keep_blank_values=True)))

    @property
    def base(self) -> str:
        """The folder or id of the local base that adapters can be trained on; "" for other kinds than hf, and for an adapter."""
        adapter = self.name and (Path(self.name).expanduser() / "adapter_config.json").exists()
        return self.name if self.kind == "hf" and not adapter else ""

    def of_adapter(self, adapter: str | Path, options: Mapping[str, Any] | None = None) -> str:
        """The spec of an adapter that is served with `options`; default: with those of this one, if it is hf's."""
        options = options or (self.options if self.kind == "hf" else {})
        return f"hf:{adapter}" + (f"?{urlencode(options)}" if options else "")


def load_model(spec: str | BaseChatModel, **options: Any) -> BaseChatModel:
    """The chat model of a spec; a ready `BaseChatModel` passes through untouched.

    Raises ConfigError for an unknown kind or option, ModelError where an extra, a folder or a key is missing.
    """
    if isinstance(spec, BaseChatModel):
        if options:
            raise ConfigError("A ready chat model takes no options.", cure="Set them where the model is made.")
        return spec
    parts = ModelSpec.parse(spec)
    spec = public_spec(spec)  # from here on it is only shown
    component = _component(parts.kind, spec)
    if problem := component.problem():
        raise ModelError(f"The model {spec!r} cannot be used: {problem}.")
    factory = component.load()
    _check_name(factory, parts, spec)
    settings = _convert(factory, resolve_credentials({**parts.options, **options}), parts.kind, spec)
    try:
        with boundary(ModelError, f"The model {spec!r} could not be made"):
            model = factory(parts.name, **settings) if parts.name else factory(**settings)
    except ExpragError as error:
        if redact(str(error)) == str(error):
            raise
        raise type(error)(redact(error.message), cure=redact(error.cure)) from None
    if not isinstance(model, BaseChatModel):
        raise PluginError(
            f"The model {component.qualified!r} is a {type(model).__name__}, not a chat model.",
            cure="Its factory must give LangChain's BaseChatModel.",
        )
    return model


def _component(kind: str, spec: str) -> Component:
    try:
        return registry().get("model", kind)
    except PluginError as error:
        names = registry().names("model")
        cure = error.cure if "Several" in error.message else f"{closest(kind, names)} Write one of: {', '.join(names)}."
        raise ConfigError(f"{error.message.rstrip('.')} (in {spec!r}).", cure=cure) from error


def _check_name(factory: Callable[..., Any], parts: ModelSpec, spec: str) -> None:
    """Raises ConfigError for a name that the kind does not take, or one that is missing."""
    first = next(iter(inspect.signature(factory).parameters.values()), None)
    positional = first is not None and first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD)
    if parts.name and not positional:
        raise ConfigError(f"The model kind {parts.kind!r} takes no name (in {spec!r}).", cure=f"Write {parts.kind}.")
    if not parts.name and positional and first is not None and first.default is first.empty:
        raise ConfigError(f"The model kind {parts.kind!r} needs a name (in {spec!r}).", cure=f"Write {parts.kind}:NAME.")


def _convert(factory: Callable[..., Any], options: Mapping[str, Any], kind: str, spec: str) -> dict[str, Any]:
    """The options in the types that the factory declares. Raises ConfigError for one that it does not take or cannot convert."""
    signature = inspect.signature(factory)
    try:
        hints = get_type_hints(factory)
    except (NameError, TypeError):  # annotations that cannot be resolved, or a partial: options are handed over as they are
        hints = {}
    named = {n: p for n, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY}
    any_name = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    cure = f"Options of {kind}: {', '.join(named) or 'none'}{', and those of the model class' if any_name else ''}."
    settings = {}
    for name, value in options.items():
        if name not in named and not any_name:
            raise ConfigError(f"Option {name!r} of {spec!r}: there is no such option.", cure=cure)
        try:
            settings[name] = _as_type(value, hints.get(name, Any) if name in named else Any)
        except ValidationError as error:
            raise ConfigError(f"Option {name!r} of {spec!r}: {error.errors()[0]['msg']}.", cure=cure) from error
    return settings


def _as_type(value: Any, annotation: Any) -> Any:
    """A value of a spec is text: `none` is None, an object or a list is JSON, the rest is what the annotation makes of it."""
    if isinstance(value, str):
        if value == "none":
            value = None
        elif annotation is Any or value.startswith(("{", "[")):
            with suppress(ValueError):
                value = json.loads(value)
    try:
        return TypeAdapter(annotation).validate_python(value)
    except (PydanticSchemaGenerationError, PydanticUserError):  # a type that pydantic does not know
        return value
