"""Code named in files: run configurations, recipes, cards and data sets may come from somebody else, and must not run code.

Wherever a plugin's name is expected, a class may be named by an import path, "package.module:Class". That is for the user, who
writes it on the command line or in Python. In a file it is refused before anything is imported, with the field and the file
named, unless the user has written the same path too, or allows the file's code: `--allow-code`, `allow_code=True` in Python.

A field that may name code says so in its annotation:

    PluginName    the name of a plugin: an import path is code
    Options       options of a plugin or a model spec: they are looked through, since plugins may name other plugins in them
    CodePath      always code: a graph, a rule
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, JsonValue

from exprag.components import is_import_path
from exprag.errors import ConfigError
from exprag.plugins import registry


@dataclass(frozen=True)
class NamesCode:
    """The mark of a field that may name code, and where in it: in a name, somewhere in options, or always."""

    where: Literal["name", "options", "always"]


PluginName = Annotated[str, NamesCode("name")]
Options = Annotated[dict[str, JsonValue], NamesCode("options")]
ModelName = Annotated[str, NamesCode("options")]
CodePath = Annotated[str | None, NamesCode("always")]


def named_code(settings: BaseModel, above: str = "") -> Iterator[tuple[str, str]]:
    """(field, text) for everything in these settings that names code; fields of settings within as "agent.strategy"."""
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from named_code(value, f"{above}{name}.")
        for mark in info.metadata:
            if isinstance(mark, NamesCode) and value is not None:
                yield from ((f"{above}{field}", text) for field, text in _code_in(name, value, mark.where))


def refuse_code(settings: BaseModel, source: str | Path, overrides: Any = ()) -> None:
    """Raises ConfigError naming field and file where settings that were read from `source` name code.

    `overrides`: what the user named beside the file (a mapping of fields, or texts); code that is named in it is allowed.
    """
    allowed = set(_texts(overrides))
    for field, text in named_code(settings):
        if text not in allowed:
            raise ConfigError(
                f"{source}: {field}: {text!r} names code to run, which a file may not do.",
                cure="If you trust it, name it yourself on the command line or in Python, or allow the file's code: --allow-code "
                "(allow_code=True in Python).",
            )


def _code_in(field: str, value: Any, where: str) -> Iterator[tuple[str, str]]:
    if where == "always":
        yield field, str(value)
    elif where == "name":
        if ":" in value:
            yield field, value
    else:
        yield from _paths_in(field, value)


def _paths_in(field: str, value: Any) -> Iterator[tuple[str, str]]:
    """The import paths anywhere in options: in tables, in lists, in JSON, behind the `?` of a model spec."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _paths_in(f"{field}.{name}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _paths_in(field, inner)
    elif isinstance(value, str):
        if is_import_path(value) and not _is_model_spec(value):
            yield field, value
        _, _, query = value.partition("?")
        for name, inner in parse_qsl(query):
            yield from _paths_in(f"{field}?{name}", inner)
        if value.lstrip().startswith(("{", "[")):
            with suppress(ValueError, RecursionError):
                yield from _paths_in(field, json.loads(value))


def _is_model_spec(text: str) -> bool:
    """Whether what looks like an import path is `kind:name` of a model (`openai:o1`); no class can be named under such a kind."""
    return text.partition(":")[0] in registry().names("model")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        yield from (text for _, text in named_code(value))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Iterable):
        for inner in value:
            yield from _texts(inner)
