"""No import circle at run time: neither between modules nor between the rooms (packages) of exprag."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

PLUGINS = ("exprag_envs", "exprag_formatters", "exprag_models", "exprag_retrievers", "exprag_styles", "exprag_traces")
PLUGINS += ("exprag_distillers",)


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """What each module imports at run time, late imports within functions included."""
    graph = grimp.build_graph("exprag", *PLUGINS, exclude_type_checking_imports=True, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def circle(edges: dict[str, set[str]]) -> list[str]:
    """One circle of the graph; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room(module: str) -> str:
    """exprag.bank for exprag.bank.documents.files; a module at the top is a room by itself, a plugin's package another."""
    return ".".join(module.split(".")[:2]) if module.startswith("exprag.") else module.split(".")[0]


def test_no_circle_between_rooms(imports: dict[str, set[str]]) -> None:
    rooms: dict[str, set[str]] = {}
    for module, targets in imports.items():
        rooms.setdefault(room(module), set()).update(room(target) for target in targets if room(target) != room(module))
    assert circle(rooms) == []


def test_no_circle_between_modules(imports: dict[str, set[str]]) -> None:
    # A package's __init__ that finds its names late stands above its own modules, so it is left out as an importer of them.
    edges = {
        module: {target for target in targets if not target.startswith(f"{module}.")}
        for module, targets in imports.items()
    }
    assert circle(edges) == []


def test_a_circle_would_be_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("exprag", PLUGINS),  # the framework names no environment, no strategy, no format and no model
        ("exprag.graph", ("exprag.training", "exprag.runs", "exprag.cli")),
        ("exprag.bank", ("exprag.retrieval", "exprag.prompt", "exprag.graph")),
        ("exprag.retrieval", ("exprag.prompt", "exprag.graph")),
        ("exprag.models", ("exprag.training", "exprag.graph")),
        ("exprag.contracts", ("exprag.bank", "exprag.retrieval", "exprag.prompt")),
    ],
)
def test_rooms_below_know_nothing_of_rooms_above(imports: dict[str, set[str]], importer: str, imported: tuple[str, ...]) -> None:
    lines = [
        f"{module} imports {target}"
        for module, targets in imports.items()
        if module == importer or module.startswith(f"{importer}.")
        for target in targets
        if any(target == name or target.startswith(f"{name}.") for name in imported)
    ]
    assert lines == []
