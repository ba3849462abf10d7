"""Self-contained HTML pages: a Jinja template with style, script and data inside.

Whatever is put into a template is escaped (Jinja's autoescape). Only two things are marked `|safe` there: what `inline` reads
from our own files, and what `embed` writes. Templates and assets are files of a package; nothing is read from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from exprag.files import cannot_write, write_whole


@dataclass(frozen=True)
class Asset:
    """A style or a script of our own: its text, and its hash for the content security policy of the page."""

    text: str
    hash: str


def inline(package: str, *names: str) -> Asset:
    """Files of a package, joined in this order, for a style or script element."""
    text = "".join(files(package).joinpath(name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Asset(text, f"sha256-{digest}")


def embed(data: Any) -> str:
    """JSON for a script element: ASCII, and without "<", which could end the element. Raises ValueError for NaN and infinity."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def render(package: str, template: str, **values: Any) -> str:
    """The template, a file of the package, with these values. Raises jinja2.UndefinedError for a value that is missing."""
    from jinja2 import Environment, StrictUndefined

    source = files(package).joinpath(template).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(source).render(values)


def write_page(path: str | Path, text: str) -> Path:
    """Write a page as a whole, with the folders that are missing; returns its path. Raises RunError where that is refused."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(target, error) from error
    write_whole(target, text)
    return target
