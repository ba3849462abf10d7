"""Text and Markdown files as documents: a Markdown file by its headings, any other whole.

A section's id is its file and the path of its headings, so that adding a newer edition of the file replaces what changed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from exprag.bank.documents.collection import DocumentReport, Documents
from exprag.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.documents import Document

MARKDOWN = (".md", ".markdown")


def add_files(documents: Documents, paths: Iterable[str | Path], *, whole: bool = False) -> tuple[DocumentReport, int]:
    """Add the files' documents, and remove those of an earlier edition that the file no longer has; returns what was added and
    how many were removed. `whole` leaves Markdown undivided. All files are read before anything is written."""
    by_source = {path.as_posix(): list(read_file(path, whole=whole)) for path in map(Path, paths)}
    report = documents.add(document for sections in by_source.values() for document in sections)
    new, removed = set(report.ids), 0
    for source in by_source:
        outdated = [str(old.id) for old in documents.documents({"source": source}) if old.id not in new]
        removed += documents.delete(outdated) if outdated else 0
    return report, removed


def read_file(path: str | Path, *, whole: bool = False) -> Iterator[Document]:
    """The documents of one file; metadata: source (the path as given) and title (the headings above the text).

    Raises ConfigError where it is missing or not UTF-8 text.
    """
    from langchain_core.documents import Document

    source = Path(path).as_posix()
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source} is not text in UTF-8: {error.reason}.", cure="Convert it to text or Markdown.") from error
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}.", cure="Name text or Markdown files.") from error
    split = Path(path).suffix.lower() in MARKDOWN and not whole
    repeats: Counter[str] = Counter()
    for titles, body in _sections(text) if split else [((), text)]:
        if not body.strip():
            continue
        title = " > ".join(titles)
        slug = re.sub(r"[^\w]+", "-", title.lower()).strip("-")
        repeats[slug] += 1
        place = f"{source}#{slug}" if slug else source
        id = place if repeats[slug] == 1 else f"{place}~{repeats[slug]}"  # a heading may come twice
        yield Document(body.strip("\n"), id=id, metadata={"source": source} | ({"title": title} if title else {}))


def _sections(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """(headings from the outermost to its own, text with its heading), in order; a heading with nothing under it is left
    out, since those below name it."""
    from markdown_it import MarkdownIt

    lines = [line + "\n" for line in text.split("\n")]  # as the parser counts them
    tokens = MarkdownIt().parse(text)
    heads = [
        (token.map[0], token.map[1], int(token.tag[1]), inline.content)
        for token, inline in pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]
    yield (), "".join(lines[: heads[0][0]] if heads else lines)
    above: list[tuple[int, str]] = []
    ends = [start for start, *_ in heads[1:]] + [len(lines)] * bool(heads)
    for (start, after, level, title), end in zip(heads, ends, strict=True):
        above = [(depth, name) for depth, name in above if depth < level] + [(level, title)]
        if "".join(lines[after:end]).strip():
            yield tuple(name for _, name in above), "".join(lines[start:end])
