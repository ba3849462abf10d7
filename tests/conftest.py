"""What all tests share: no hub, no telemetry, and real data from the folder `shared` beside the repository, if there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["LANGSMITH_TRACING"] = "false"
if "PYTEST_XDIST_WORKER" in os.environ:  # threads of torch wait for one another by spinning: workers share the cores already
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["COLUMNS"] = "160"  # tables of the command line are as wide here as there
_ALFWORLD_DATA = os.environ.get("ALFWORLD_DATA")  # read now: importing alfworld sets it to a folder that may hold nothing


@pytest.fixture
def plugins_unloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's registry is loaded anew in this test, and again after it."""
    from exprag.plugins import registry

    monkeypatch.delenv("EXPRAG_LOAD_PLUGINS", raising=False)
    registry.cache_clear()
    yield
    registry.cache_clear()


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("no real data: expected the folder ../shared/data beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def alfworld_full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with whole splits, as `alfworld-download` leaves it: what ALFWORLD_DATA names, else unpacked once a test run."""
    if _ALFWORLD_DATA:
        return Path(_ALFWORLD_DATA)
    unpack = SHARED / "unpack-alfworld"
    if not unpack.is_file():
        pytest.skip("no ALFWorld games: set ALFWORLD_DATA (alfworld-download), or put ../shared/data beside the repository")
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "alfworld-full"
    with FileLock(f"{root}.lock"):
        if not (root / "complete").exists():
            subprocess.run([sys.executable, str(unpack), str(root)], check=True, capture_output=True)
            (root / "complete").touch()
    return root
