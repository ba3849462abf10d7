"""`pytest tests/soak -m soak`: the whole soak, whose table must hold nothing but "tried". SOAK_TIMES: kills at each moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.soak import disks, hostile, kills, pairs
from tests.soak.table import render

TIMES = int(os.environ.get("SOAK_TIMES", "20"))
PARTS = {"kills": kills.rows, "pairs": pairs.rows, "disks": disks.rows, "hostile": hostile.rows}


@pytest.mark.soak
@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_lost_twice_stuck_orphaned_or_unexpected(tmp_path: Path, part: str) -> None:
    if part == "disks" and not disks.can_mount(tmp_path):
        pytest.skip("mounting a small disk needs root, on Linux")
    rows = list(PARTS[part](tmp_path, TIMES, lambda name: True))
    print(render(rows))
    assert sum(row.tried for row in rows) > 0
    assert [row.attack for row in rows if not row.clean] == [], render(rows)
