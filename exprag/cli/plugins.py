"""`exprag plugins`: what is installed, from where, and what is missing for the rest."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from exprag.plugins import SLOW_SECONDS, Registry, registry


def rows(source: Registry) -> list[dict[str, str]]:
    """One row per component and per plugin that failed to load: id, kind, distribution, version, status, description."""
    found = []
    for component in sorted(source.components, key=lambda c: (c.kind, c.name)):
        found.append(
            {
                "id": component.name,
                "kind": component.kind,
                "distribution": component.distribution,
                "version": component.version,
                "status": component.problem() or "ok",
                "description": component.description,
            }
        )
    for failure in source.failures:
        found.append(
            {
                "id": failure.entry_point,
                "kind": "plugin",
                "distribution": failure.distribution,
                "version": failure.version,
                "status": f"failed to load: {failure.reason}",
                "description": "",
            }
        )
    for name, seconds in source.load_seconds.items():
        if seconds > SLOW_SECONDS:
            distribution, _, entry_point = name.partition("/")
            found.append(
                {
                    "id": entry_point,
                    "kind": "plugin",
                    "distribution": distribution,
                    "version": "",
                    "status": f"slow to load: {seconds:.1f} s; importing a plugin should import nothing heavy",
                    "description": "",
                }
            )
    return found


def plugins(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List environments, query strategies, selectors, formatters and styles, with what is missing and its cure."""
    found = rows(registry())
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table(box=None, header_style="bold")
    for column in ("id", "kind", "from", "status", "description"):
        table.add_column(column, overflow="fold")
    for row in found:
        style = "green" if row["status"] == "ok" else "yellow"
        table.add_row(
            row["id"],
            row["kind"].replace("_", " "),
            f"{row['distribution']} {row['version']}".strip(),
            f"[{style}]{_escape(row['status'])}[/]",
            _escape(row["description"]),
        )
    Console().print(table)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
