"""The surface that plugin authors rely on stands in authoring_surface.txt: a change of it must be deliberate.

After a deliberate change: python tests/test_authoring.py
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from exprag import authoring, hookspecs, testing
from exprag.plugins import KINDS

RECORDED = Path(__file__).with_name("authoring_surface.txt")


def surface() -> Iterator[str]:
    for name in sorted(authoring.__all__):
        yield from described(name, getattr(authoring, name))
    for hook in KINDS.values():
        yield f"hook {hook}{inspect.signature(getattr(hookspecs, hook))}"
    for name in sorted(testing.__all__):
        yield from described(f"testing.{name}", getattr(testing, name))


def described(name: str, thing: Any) -> Iterator[str]:
    """One line for the thing, and one for each of its public members."""
    if not inspect.isclass(thing):
        yield f"{name}{inspect.signature(thing)}" if inspect.isroutine(thing) else f"{name} = {typed(thing)}"
        return
    bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
    yield f"class {name}({bases})"
    if issubclass(thing, BaseModel):
        for field, about in thing.model_fields.items():
            yield f"    {name}.{field}: {thing.__annotations__[field]}{' (required)' if about.is_required() else ''}"
    elif dataclasses.is_dataclass(thing) or name == "ExpragError":
        yield f"    {name}{inspect.signature(thing)}"
    ours = [base for base in thing.__mro__ if base.__module__.startswith("exprag.")]
    members = {member: value for base in reversed(ours) for member, value in vars(base).items()}
    fields = getattr(thing, "model_fields", {}).keys() | {"model_config", "model_post_init", "checks"}
    for member, value in sorted(members.items()):
        hidden = member.startswith("_") and not (member == "__call__" and name == "Register")
        if hidden or member in fields or member.startswith(("test_", "pytest_")):
            continue
        inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isroutine(inner):
            abstract = " (abstract)" if getattr(inner, "__isabstractmethod__", False) else ""
            yield f"    {name}.{member}{inspect.signature(inner)}{abstract}"
        elif isinstance(value, property):
            yield f"    {name}.{member} (property)"
        elif not dataclasses.is_dataclass(thing):
            yield f"    {name}.{member} = {value!r}"


def typed(thing: Any) -> str:
    return type(thing).__name__ if not isinstance(thing, type(dict[str, Any])) else str(thing)


def test_the_surface_is_as_recorded() -> None:
    now, recorded = list(surface()), RECORDED.read_text(encoding="utf-8").splitlines()
    gone, new = [line for line in recorded if line not in now], [line for line in now if line not in recorded]
    assert now == recorded, f"gone: {gone}; new: {new}. If that is deliberate: python {Path(__file__).name}, and tell authors."


def test_importing_it_brings_nothing_heavy() -> None:
    code = "import sys, json, exprag.authoring; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {module.partition(".")[0] for module in json.loads(done.stdout)}
    assert not loaded & {"torch", "lancedb", "langgraph", "langchain_core", "transformers", "pyarrow", "numpy", "opentelemetry"}


def test_all_names_are_there_and_documented() -> None:
    assert set(dir(authoring)) == set(authoring.__all__)
    for name in authoring.__all__:
        thing = getattr(authoring, name)
        assert not inspect.isclass(thing) or thing.__doc__ or issubclass(thing, Exception), name


if __name__ == "__main__":
    RECORDED.write_text("\n".join(surface()) + "\n", encoding="utf-8")
