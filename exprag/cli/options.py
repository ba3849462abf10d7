"""Command-line options made from the fields of settings: their types, descriptions and defaults.

    RunOptions = options(RunConfig)                        # a typed dict with only the options that were given

    def run(*, out: Out, config: Config = None, values: RunOptions = None):
        settings = make(RunConfig, values, config)         # the file, with the options on top

Values are checked by the settings themselves, so that Python, files and the command line say the same of a wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, TypeVar

from cyclopts import Group, Parameter

from exprag.cli.fields import Field, fields
from exprag.cli.words import expanded, listed, name_values, path
from exprag.config import Settings
from exprag.errors import ConfigError

S = TypeVar("S", bound=Settings)

Config = Annotated[Path | None, path("TOML or JSON file; options go on top.", "--config")]
AllowCode = Annotated[
    bool, Parameter(name="--allow-code", help="Run code that the file names (module:Class in place of a plugin's name).")
]


def options(
    settings: type[Settings], *, only: Collection[str] = (), leave_out: Collection[str] = (), show_defaults: bool = True
) -> Any:
    """The options of the fields of `settings` as one parameter of a command: a dict that holds those that were given."""
    members = [field for field in fields(settings) if (not only or field.name in only) and field.name not in leave_out]
    groups: dict[str, Group] = {}
    for field in members:
        groups.setdefault(field.section, Group(field.section, sort_key=10 + len(groups)))
    types = {field.name: _parameter(field, groups[field.section], show_defaults) for field in members}
    return Annotated[TypedDict(f"{settings.__name__}Options", types, total=False), Parameter(name="*")]  # type: ignore[operator]


def make(
    settings: type[S], values: Mapping[str, Any] | None, config: Path | None = None, allow_code: bool = False, **fixed: Any
) -> S:
    """The settings of a file, or the defaults, with the options that were given on top, and `fixed` over both.

    `allow_code`: code that the file names is allowed (`Settings.read`).

    Raises ConfigError naming the file, the field and what was expected.
    """
    placed = place(settings, {**(values or {}), **fixed})
    if config is not None:
        return settings.read(config, allow_code=allow_code, **placed)
    for field in fields(settings):
        if field.info.is_required() and field.path[0] not in placed:
            raise ConfigError(f"No {field.name} is named.", cure=f"Give {_spoken(field)} NAME, or --config FILE.")
    return settings.make(**placed)


def place(settings: type[Settings], values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options as they were typed, made into values, and put where `Settings.make` expects them."""
    by_name = {field.name: field for field in fields(settings)}
    placed: dict[str, Any] = {}
    for name, value in (values or {}).items():
        field = by_name.get(name)
        *above, last = field.path if field else (name,)
        table = placed
        for part in above:
            table = table.setdefault(part, {})
        table[last] = _value(field, value) if field else value
    return placed


def _parameter(field: Field, group: Group, show_default: bool) -> Any:
    """The annotation that cyclopts reads for one field."""
    default = f" [default: {field.default}]" if field.default and show_default else ""
    common: dict[str, Any] = {"name": field.options, "help": field.description + default, "group": group}
    if field.kind == "choice":
        return Annotated[_or_none(Literal[field.choices], field), Parameter(**common)]
    if field.kind == "scalar" and field.members != (str,):
        negative = f"--no-{field.options[0][2:]}" if field.members == (bool,) else ()
        return Annotated[_or_none(field.members[0], field), Parameter(**common, negative=negative)]
    if field.kind in ("pairs", "list"):
        metavar = "NAME=VALUE" if field.kind == "pairs" else "A,B"
        return Annotated[list[str], Parameter(**common, metavar=metavar)]
    return Annotated[str, Parameter(**common, metavar="TEXT" if field.kind == "scalar" else "VALUE")]


def _or_none(kind: Any, field: Field) -> Any:
    return kind | None if field.optional else kind


def _value(field: Field, value: Any) -> Any:
    """What was typed as the value of a field; anything else than text as it is.

    Lists are divided at commas (or are JSON, for parts that hold one), pairs are NAME=VALUE, "none" is None where the field may
    be that, and a field that takes more than text takes JSON.
    """
    if field.optional and value in ("none", "None", ["none"]):
        return None
    if field.kind == "pairs" and isinstance(value, list):
        return name_values(value, _spoken(field))
    if field.kind == "list" and isinstance(value, list):
        word = value[0] if len(value) == 1 and value[0] in field.choices else None
        return word or tuple(part for text in value for part in _parts(text))
    if isinstance(value, str) and field.kind in ("scalar", "any"):
        return expanded(value) if field.kind == "scalar" else _json(value)
    return value


def _parts(text: str) -> Sequence[Any]:
    whole = _json(text) if text.startswith("[") else None
    return whole if isinstance(whole, list) else listed(text)


def _spoken(field: Field) -> str:
    """The option by which a field is spoken of: the short word where there is one."""
    return next((name for name in field.options[1:] if name.startswith("--")), field.options[0])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
