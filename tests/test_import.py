from __future__ import annotations

import json
import subprocess
import sys

import exprag


def test_import_is_light() -> None:
    """`import exprag` brings neither torch nor lancedb nor langgraph; the command line brings neither torch nor lancedb."""
    code = "import sys, json, exprag; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {module.partition(".")[0] for module in json.loads(done.stdout)}
    heavy = {"torch", "lancedb", "langgraph", "langchain_core", "transformers", "pyarrow", "numpy", "sentence_transformers"}
    assert not loaded & heavy


def test_public_names_exist() -> None:
    for name in exprag.__all__:
        assert getattr(exprag, name) is not None
    assert set(dir(exprag)) == set(exprag.__all__)
