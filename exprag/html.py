"""Self-contained HTML pages: a Jinja template with style, script and data inside.

Whatever is put into a template is escaped (Jinja's autoescape). Only two things are marked `|safe` there: what `inline` and
`bundle` read from our own files, and what `embed` and `pack` write. Templates and assets are files of a package; nothing is read
from elsewhere.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from exprag.files import cannot_write, write_whole

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.-]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


@dataclass(frozen=True)
class Asset:
    """A style or a script of our own: its text, and its hash for the content security policy of the page."""

    text: str
    hash: str


def inline(package: str, *names: str) -> Asset:
    """Files of a package, joined in this order, for a style or script element."""
    return _asset("".join(files(package).joinpath(name).read_text(encoding="utf-8") for name in names))


def _asset(text: str) -> Asset:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Asset(text, f"sha256-{digest}")


def bundle(package: str, folder: str, entry: str) -> Asset:
    """ES modules of a folder of a package as one script: the entry, and before it what it imports, each once.

    A module imports by lines `import { a, b } from "./other.js";` and exports by `export` before a declaration; both are taken
    out, so that all modules share one scope and a name may be declared in one of them only.
    """
    parts: dict[str, str] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in parts:
            return
        if name in above:
            raise ValueError(f"The modules {' → '.join([*above, name])} import each other.")
        text = files(package).joinpath(folder, name).read_text(encoding="utf-8")
        for other in _IMPORT.findall(text):
            add(other, (*above, name))
        parts[name] = _EXPORT.sub("", _IMPORT.sub("", text)).strip("\n")

    add(entry, ())
    return _asset("\n".join([*parts.values(), ""]))


def embed(data: Any) -> str:
    """JSON for a script element: ASCII, and without "<", which could end the element. Raises ValueError for NaN and infinity."""
    return _inert(json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":")))


@dataclass(frozen=True)
class Embedded:
    """Data for the element of a page, and of which kind: json, or gzip (of JSON, in base64)."""

    text: str
    kind: str


def pack(data: Any, limit: int = 1_000_000) -> Embedded:
    """The data as JSON, or where that is longer than `limit` characters, compressed. Raises ValueError as `embed` does."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    if len(text) <= limit:
        return Embedded(_inert(text), "json")
    packed = gzip.compress(text.encode("ascii"), compresslevel=5, mtime=0)  # without a time: the same page each time
    return Embedded(base64.b64encode(packed).decode("ascii"), "gzip")


def _inert(text: str) -> str:
    return text.replace("<", "\\u003c")


def render(package: str, template: str, **values: Any) -> str:
    """The template, a file of the package, which may extend another one, with these values. Raises jinja2.UndefinedError for a
    value that is missing."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def load(name: str) -> str:
        return files(package).joinpath(name).read_text(encoding="utf-8")

    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True, loader=FunctionLoader(load))
    return environment.get_template(template).render(values)


def write_page(path: str | Path, text: str) -> Path:
    """Write a page as a whole, with the folders that are missing; returns its path. Raises RunError where that is refused."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(target, error) from error
    write_whole(target, text)
    return target
