"""The guide for plugin authors is whole: hooks, parameters of `register`, members of contracts, kits and scaffolds."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from exprag import authoring, hookspecs, testing
from exprag.plugins import KINDS
from exprag.scaffold.generate import ABOUT

CONTRACTS = {
    "environment": ("TextEnvironment",),
    "query_strategy": ("QueryStrategy", "StepStrategy"),
    "selector": ("Selector",),
    "formatter": ("Formatter",),
    "style": ("AgentStyle",),
    "model": ("ModelFactory",),
}


def sections(root: Path) -> dict[str, str]:
    """The guide's text by heading."""
    parts = re.split(r"^## (.+)$", (root / "docs" / "plugins.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_hook_of_the_specification_is_a_kind() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("register_")}
    assert hooks == set(KINDS.values())
    assert set(ABOUT) == set(CONTRACTS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_guide_tells_all_of_its_kind(kind: str, root: Path) -> None:
    (guide,) = [text for heading, text in sections(root).items() if f"`{KINDS[kind]}`" in heading]
    for part in ("**Implement**", "**Rules**", "**Test**", "**Try**", ABOUT[kind].kit):
        assert part in guide
    assert hasattr(testing, ABOUT[kind].kit)
    for name in CONTRACTS[kind]:
        contract = getattr(authoring, name)
        ours = [base for base in contract.__mro__ if base.__module__.startswith("exprag.")]
        members = {m for base in ours for m in vars(base) if not m.startswith("_")} - {"task", "keys"}
        untold = {member for member in members if not re.search(rf"\b{member}\b", guide)}
        assert not untold, f"{name}: {untold}"
    assert kind.replace("_", "-") in sections(root)["Start"]
    assert kind.replace("_", " ") in (root / "docs" / "plugins.md").read_text().partition("## Start")[0]


def test_what_register_takes_is_told_in_the_guide_and_in_the_specification(root: Path) -> None:
    parameters = [name for name in inspect.signature(hookspecs.Register.__call__).parameters if name != "self"]
    told = sections(root)["How a plugin is found"]
    for name in parameters:
        assert f"| `{name}` |" in told
        assert re.search(rf"^    {name} +\S", str(hookspecs.__doc__), re.MULTILINE), name


def test_hooks_are_handed_register_and_nothing_else() -> None:
    """Another parameter has to be told of in the guide, and here."""
    for hook in KINDS.values():
        assert list(inspect.signature(getattr(hookspecs, hook)).parameters) == ["register"]
        assert getattr(hookspecs, hook).__doc__
