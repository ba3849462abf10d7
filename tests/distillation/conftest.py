from __future__ import annotations

from pathlib import Path

import pytest
from hints_material import play, settings


@pytest.fixture(scope="session")
def distillation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole distillation; tests read it only."""
    out = tmp_path_factory.mktemp("distillation") / "out"
    play(settings(ablation=[1]), out)
    return out
