"""The fields of settings as the command line and the documentation show them: name, kind of value, default, section.

Nothing here knows a field by name, except for a few short forms: a field that is added to `AgentConfig`, `RunConfig`,
`DataConfig` or `Recipe` appears by itself.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from exprag.config import AgentSettings, Settings

SHORT = {"environment": ("--env", "-e"), "environment_options": ("--set",), "task_ids": ("--task",)}
"""Options that are shorter than the name of their field."""

SCALARS = (bool, int, float, str)


@dataclass(frozen=True)
class Field:
    """One field of settings, or of settings that they hold."""

    name: str
    path: tuple[str, ...]
    """Where its value goes in the values for `Settings.make`; the agent's fields stand beside the others."""
    section: str
    info: FieldInfo

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the option, the long one first: --k and -k for k, --environment, --env and -e for environment."""
        letter = (f"-{self.name}",) if len(self.name) == 1 else ()
        return (option(self.name), *letter, *SHORT.get(self.name, ()))

    @property
    def description(self) -> str:
        return " ".join((self.info.description or "").split())

    @property
    def members(self) -> tuple[Any, ...]:
        """The types of the field's union, without None; one type where it is no union."""
        return tuple(member for member in _members(self.info.annotation) if member is not type(None))

    @property
    def optional(self) -> bool:
        """Whether None is a value."""
        return type(None) in _members(self.info.annotation)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The words that are allowed, where the field takes nothing else, or beside a list."""
        return tuple(word for member in self.members if get_origin(member) is Literal for word in get_args(member))

    @property
    def kind(self) -> Literal["scalar", "choice", "list", "pairs", "any"]:
        origins = {get_origin(member) or member for member in self.members}
        if origins == {Literal}:
            return "choice"
        if origins <= {Literal, tuple, list, set, frozenset}:
            return "list"
        if origins <= {dict, Mapping}:
            return "pairs"
        return "scalar" if len(origins) == 1 and origins <= set(SCALARS) else "any"

    @property
    def default(self) -> str:
        """The default as it would be typed; empty for a field that has none, or nothing as its default."""
        value = self.info.get_default(call_default_factory=True, validated_data={})
        if self.info.is_required() or value is None or value == "" or value == () or value == {}:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def fields(settings: type[Settings], above: tuple[str, ...] = ()) -> Iterator[Field]:
    """The fields of settings and of the settings that they hold, in their order."""
    section = ""
    own_first = sorted(settings.model_fields.items(), key=lambda item: item[0] == "agent")
    for name, info in own_first:
        section = settings.sections.get(name, section)
        inner = _members(info.annotation)[0]
        if isinstance(inner, type) and issubclass(inner, Settings):
            beside = name == "agent" and issubclass(settings, AgentSettings)
            for field in fields(inner, above if beside else (*above, name)):
                if not beside or field.name not in settings.model_fields:
                    yield field
        else:
            yield Field(name, (*above, name), section or settings.__name__, info)


def option(name: str) -> str:
    """The long option of a field."""
    return "--" + name.replace("_", "-")


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(part for member in get_args(annotation) for part in _members(member))
    return (annotation,)
