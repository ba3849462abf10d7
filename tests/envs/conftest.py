"""A few real ALFWorld games for the environment tests; whole splits are in tests/conftest.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


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
def alfworld_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alfworld-cache")
