"""Locals, parameters and attributes are nouns that say what they hold, never bare participles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTICIPLES = {"found", "told", "asked", "wanted", "said", "made", "given", "seen", "taken", "known", "meant", "sought", "heard"}
FILES = sorted(path for folder in ("exprag", "plugins", "graphs") for path in (ROOT / folder).rglob("*.py"))
LONGEST = 300


def participles(source: str) -> list[str]:
    """"line: name" for each local, parameter or attribute of a source that is a bare participle."""
    names: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append((node.lineno, node.id))
        elif isinstance(node, ast.arg):
            names.append((node.lineno, node.arg))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.append((node.lineno, node.attr.lstrip("_")))
    return [f"{line}: {name}" for line, name in names if name in PARTICIPLES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_are_nouns_and_files_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert participles(source) == []
    assert len(source.splitlines()) <= LONGEST


def test_a_participle_would_be_seen() -> None:
    assert participles("def f(asked):\n    found = asked\n    self.told = found") == ["1: asked", "2: found", "3: told"]
