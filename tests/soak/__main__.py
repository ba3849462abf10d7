"""The soak: `python -m tests.soak [--times 20] [--only WORD]`, from the repository's root. It prints one table.

It aims kills at named moments of runs, learning runs and banks, has two processes work in each kind of directory, fills a small
disk at each write (as root, on Linux: it mounts a tmpfs), and plays plugins that break their contract. It takes about an hour
with its usual 20 kills a moment; exit code 1 where anything but "tried" is not zero.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.soak import disks, hostile, kills, pairs
from tests.soak.table import Row, render

PARTS = (kills.rows, pairs.rows, disks.rows, hostile.rows)


def soak(folder: Path, times: int, choose: Callable[[str], bool] = lambda name: True) -> Iterator[Row]:
    """The rows of the table as they come; `choose` says by name which attacks to try."""
    for number, part in enumerate(PARTS):
        place = folder / str(number)
        place.mkdir()
        yield from part(place, times, choose)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.split("\n\n")[0])
    parser.add_argument("--times", type=int, default=20, help="kills at each moment [20]")
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    options = parser.parse_args()
    table = []
    with tempfile.TemporaryDirectory(prefix="exprag-soak-") as folder:
        for row in soak(Path(folder), options.times, lambda name: options.only in name):
            print(f"{'ok ' if row.clean else 'BAD'} {row.attack}", file=sys.stderr, flush=True)
            table.append(row)
    print(render(table))
    return 0 if all(row.clean for row in table) else 1


if __name__ == "__main__":
    sys.exit(main())
