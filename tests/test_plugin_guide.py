"""The guide for plugin authors is whole: hooks, parameters of `register`, members of contracts, records, kits and scaffolds.

After a change of a record's fields: python tests/test_plugin_guide.py
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exprag import authoring, hookspecs, testing, trajectory
from exprag.plugins import KINDS
from exprag.scaffold.generate import ABOUT

CONTRACTS = {
    "environment": ("TextEnvironment",),
    "query_strategy": ("QueryStrategy", "StepStrategy"),
    "selector": ("Selector",),
    "formatter": ("Formatter",),
    "style": ("AgentStyle",),
    "trace_format": ("TraceFormat",),
    "model": ("ModelFactory",),
    "distiller": ("Distiller",),
}

RECORDS = ("Task", "Step", "Trajectory", "Recalled", "Provenance", "ToolCall", "Usage", "EpisodeError")
RECORDS += ("Place", "Moment", "Candidate", "Turn", "Transcript", "Item", "ItemSource", "Distillate", "Refusal")
BEGIN, END = "<!-- records: ", "<!-- end of records -->"


def record_tables() -> str:
    """A table for each record that authors meet: field, type, default, and the docstring under the field."""
    parts = []
    for name in RECORDS:
        record = getattr(authoring, name, None) or getattr(trajectory, name)
        parts += [f"### {name}", "", inspect.getdoc(record) or "", "", "| field | type | |", "|---|---|---|"]
        parts += [f"| `{field}` | {kind} | {about} |" for field, kind, about in fields_of(record)]
        parts.append("")
    return "\n".join(parts)


def fields_of(record: Any) -> Iterator[tuple[str, str, str]]:
    """The fields of a class in their order: name, type with the default, docstring."""
    body = ast.parse(textwrap.dedent(inspect.getsource(record))).body[0].body  # type: ignore[attr-defined]
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = ast.unparse(statement.annotation).replace(" | ", " or ")
            for ours, plain in {"Text": "str", "Name": "str", "Number": "float", "JsonDict": "dict[str, Any]"}.items():
                kind = re.sub(rf"\b{ours}\b", plain, kind)
            optional = "" if statement.value is None else ", optional"
            text = following.value.value if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) else ""
            yield statement.target.id, f"`{kind}`{optional}", " ".join(str(text).split()).replace("|", "\\|")


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


def test_every_field_of_a_record_is_in_the_guide_with_its_docstring(root: Path) -> None:
    text = (root / "docs" / "plugins.md").read_text(encoding="utf-8")
    start, end = text.index(BEGIN), text.index(END)
    assert text[start:end].partition("\n")[2] == record_tables(), f"Run python tests/{Path(__file__).name}."
    for name in RECORDS:
        record = getattr(authoring, name, None) or getattr(trajectory, name)
        fields = list(fields_of(record))
        assert fields
        assert all(about for _, _, about in fields), name


if __name__ == "__main__":
    page = Path(__file__).parents[1] / "docs" / "plugins.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    line, _, rest = rest.partition("\n")
    page.write_text(f"{before}{BEGIN}{line}\n{record_tables()}{END}{rest.partition(END)[2]}", encoding="utf-8")
