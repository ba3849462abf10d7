"""Real data for the environment tests, from the folder `shared` beside the repository or from where the user keeps it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("no real data: expected the folder ../shared/data beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def alfworld_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a few games of each split: unpacked from ../shared/data, else what ALFWORLD_DATA names."""
    unpack = SHARED / "unpack-alfworld"
    if not unpack.is_file():
        if os.environ.get("ALFWORLD_DATA"):
            return Path(os.environ["ALFWORLD_DATA"])
        pytest.skip("no ALFWorld games: set ALFWORLD_DATA (alfworld-download), or put ../shared/data beside the repository")
    root = tmp_path_factory.mktemp("alfworld")
    for options in (["--sample"], ["--split", "train", "--split", "valid_unseen", "--limit", "8"]):
        subprocess.run([sys.executable, str(unpack), str(root), *options], check=True, capture_output=True)
    return root


@pytest.fixture(scope="session")
def alfworld_full() -> Path:
    """A root with whole splits, as `alfworld-download` leaves it."""
    root = Path(os.environ.get("ALFWORLD_DATA", ""))
    if not os.environ.get("ALFWORLD_DATA") or not (root / "json_2.1.1" / "train").is_dir():
        pytest.skip("needs every ALFWorld game: set ALFWORLD_DATA to the folder of alfworld-download")
    return root


@pytest.fixture(scope="session")
def alfworld_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alfworld-cache")
