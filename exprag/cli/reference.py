"""The table of all settings in docs/configuration.md, made from the fields that the command line is made from.

    python -m exprag.cli.reference docs/configuration.md    # write the table into the page again
"""

from __future__ import annotations

import sys
from pathlib import Path

from exprag.cli.fields import Field, fields
from exprag.config import Settings

START, END = "<!-- settings: written by python -m exprag.cli.reference -->", "<!-- end of settings -->"


def reference(settings: dict[str, type[Settings]]) -> str:
    """Markdown tables of these settings, by the headings that they get, section by section."""
    parts = []
    for heading, cls in settings.items():
        parts.append(f"## {heading}\n\n{(cls.__doc__ or '').strip().partition(chr(10))[0]}")
        sections: dict[str, list[Field]] = {}
        for field in fields(cls):
            if field.name not in cls.model_fields:
                continue  # the agent's have a table of their own
            sections.setdefault(field.section, []).append(field)
        for section, members in sections.items():
            title = f"### {section}\n\n" if len(sections) > 1 else ""
            rows = "\n".join(_row(field) for field in members)
            parts.append(f"{title}| field | option | default | what it is |\n|---|---|---|---|\n{rows}")
    return "\n\n".join(parts)


def page(text: str, tables: str) -> str:
    """The text of the page with its tables replaced. Raises ValueError where it has no place for them."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"The page has no lines {START} and {END}.")
    return f"{before}{START}\n\n{tables}\n\n{END}{after}"


def settings() -> dict[str, type[Settings]]:
    """The settings of the product, by the headings of their tables."""
    from exprag.config import AgentConfig
    from exprag.runs.config import RunConfig
    from exprag.training.rows.config import DataConfig
    from exprag.training.sft.recipes import Recipe

    return {"Agents": AgentConfig, "Runs": RunConfig, "Training rows": DataConfig, "Recipes of training": Recipe}


def _row(field: Field) -> str:
    default = f"`{field.default}`" if field.default else "required" if field.info.is_required() else ""
    options = ", ".join(f"`{name}`" for name in field.options)
    choices = f" One of: {', '.join(f'`{word}`' for word in field.choices)}." if field.kind == "choice" else ""
    return f"| `{field.name}` | {options} | {default} | {_escaped(field.description)}{choices} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


def main() -> None:
    """Write the tables into the page that is named."""
    path = Path(sys.argv[1])
    path.write_text(page(path.read_text(encoding="utf-8"), reference(settings())), encoding="utf-8")


if __name__ == "__main__":
    main()
