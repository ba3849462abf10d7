"""What all tests share: no hub, no telemetry, and the toy environment importable in worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["LANGSMITH_TRACING"] = "false"


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
