"""Figures drawn with matplotlib: a PNG file, and the same as SVG for a page. Heavy: matplotlib is imported late."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from exprag.errors import ConfigError
from exprag.files import beside, cannot_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(draw: Callable[[], Figure], png: str | Path, extra: str) -> str:
    """Write what `draw` makes as a PNG, which appears whole, and return it as SVG; the same numbers give the same bytes.

    Raises ConfigError without matplotlib, which `extra` brings, and RunError where the file cannot be written.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigError("Drawing needs matplotlib.", cure=f"pip install 'exprag[{extra}]'") from error
    matplotlib.use("Agg")
    figure = draw()
    image, text = io.BytesIO(), io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "exprag"}):
        figure.savefig(image, format="png", dpi=150)
        figure.savefig(text, format="svg", metadata={"Date": None})
    path = Path(png)
    try:
        with beside(path) as partial:
            partial.write_bytes(image.getvalue())
    except OSError as error:
        raise cannot_write(path, error) from error
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
