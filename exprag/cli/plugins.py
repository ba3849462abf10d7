"""`exprag plugins`: what is installed, from where, and what is missing for the rest."""

from __future__ import annotations

from itertools import groupby

from rich.text import Text

from exprag.cli.output import console, say, write_json
from exprag.cli.words import Json, plain
from exprag.plugins import SLOW_SECONDS, Component, Registry, registry

OWN = "exprag"


def rows(source: Registry) -> list[dict[str, str]]:
    """One row per component and per plugin that failed to load: id, kind, distribution, version, status, description."""
    table = []
    for component in sorted(source.components, key=lambda c: (c.kind, c.name)):
        table.append(
            {
                "id": component.name,
                "kind": component.kind,
                "distribution": component.distribution,
                "version": component.version,
                "status": component.problem() or "ok",
                "description": component.description + _note(source, component),
            }
        )
    for failure in source.failures:
        table.append(
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
            table.append(
                {
                    "id": entry_point,
                    "kind": "plugin",
                    "distribution": distribution,
                    "version": "",
                    "status": f"slow to load: {seconds:.1f} s; importing a plugin should import nothing heavy",
                    "description": "",
                }
            )
    return table


def _note(source: Registry, component: Component) -> str:
    return f" (write {component.qualified}: the short name is a built-in's)" if source.shadowed(component) else ""


def plugins(*, as_json: Json = False) -> None:
    """List environments, query strategies, selectors, formatters, styles, distillers, models …, and what is missing for them."""
    components = rows(registry())
    if as_json:
        write_json(components)
        return
    for kind, group in groupby(components, key=lambda row: row["kind"]):
        say(kind.replace("_", " "), "bold")
        members = list(group)
        longest = max(plain(row["id"]).cell_len for row in members)
        problems = []
        for row in members:
            ok = row["status"] == "ok"
            source = "" if row["distribution"] == OWN else f"{row['distribution']} {row['version']}".strip()
            words = ". ".join(filter(None, (source, " ".join(row["description"].split()))))
            name = plain(row["id"], "green" if ok else "yellow")
            line = Text.assemble("  ", name, " " * (longest - name.cell_len + 2), plain(words))
            line.truncate(max(console().width, longest + 4), overflow="ellipsis")
            console().print(line, soft_wrap=True)
            problems += [] if ok else [f"    {row['id']}: {row['status']}"]
        for problem in problems:
            say(problem, "yellow")
    if not components:
        say("No plugin is loaded (EXPRAG_LOAD_PLUGINS says which ones are).")
