"""Every benchmark imports, and runs through in its smallest size; the figures mean nothing then and are not looked at."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = [path.stem for path in sorted(FOLDER.glob("[a-z]*.py"))]
NO_GAMES = (
    *("bank_latency", "batching", "concurrency", "loop_overhead", "parallel_episodes", "ray_engine", "prefix", "run_overhead"),
    *("report_speed", "resume", "scienceworld_speed", "search_scale", "train_cpu", "trainer"),
)
PACKAGES = {
    "batching": "langchain_huggingface",
    "concurrency": "langchain_openai",
    "prefix": "langchain_huggingface",
    "alfworld_speed": "alfworld",
    "collect_speed": "alfworld",
    "lexical_quality": "bm25s",
    "ray_engine": "ray",
    "row_building": "sentence_transformers",
    "row_tokens": "torch",
    "scienceworld_speed": "scienceworld",
    "train_cpu": "trl",
    "learning_rollouts": "langchain_huggingface",
    "trainer": "trl",
}
# One environment is enough: ScienceWorld's JVM starts in scienceworld_speed.
ARGUMENTS = {
    "loop_overhead": ["--env", "alfworld-generated"],
    "parallel_episodes": ["--env", "alfworld-generated"],
    "retrieval_quality": ["--env", "alfworld", "--strategies", "state", "--selectors", "top_k,success_weighted+learned"],
}


@pytest.mark.parametrize("name", NAMES)
def test_imports(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LANCE_CPU_THREADS", "RAYON_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")  # search_scale sets them: so they are put back
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    assert callable(module.main)


def test_docs_name_every_script(root: Path) -> None:
    text = (root / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if not re.search(rf"\b{name}\b", text)] == []


def smoke(name: str, request: pytest.FixtureRequest, folder: Path, *arguments: str) -> dict[str, Any]:
    """The figures of a script run in its smallest size, as users run it; with the games, where it plays them."""
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    settings = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "BF16": "0", "XDG_CACHE_HOME": str(folder.parent / "cache")}
    if name == "lexical_quality":
        settings["EXPRAG_DATA"] = str(request.getfixturevalue("shared"))
    elif name not in NO_GAMES:
        settings["ALFWORLD_DATA"] = str(request.getfixturevalue("alfworld_full"))
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--smoke", "--json", *ARGUMENTS.get(name, ()), *arguments]
    process = subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-4000:]
    figures: dict[str, Any] = json.loads(process.stdout)
    assert figures["benchmark"] == name
    assert set(figures) > {"benchmark", "size"}
    return figures


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_runs_through(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    smoke(name, request, tmp_path)


@pytest.mark.slow
def test_learning_goes_through_all_stages_and_goes_on(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl")
    monkeypatch.syspath_prepend(str(FOLDER))
    from _local_model import make_model

    base = make_model(tmp_path / "model")
    command = [sys.executable, str(FOLDER / "learning"), "--smoke", "--json", "--out", str(tmp_path / "out"), "--base", str(base)]
    settings = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "ALFWORLD_DATA": str(request.getfixturevalue("alfworld_full"))}
    figures = []
    for _ in range(2):
        process = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
        assert process.returncode == 0, process.stderr[-4000:]
        figures.append(json.loads(process.stdout))
    played = {name: values["games"] for name, values in figures[0].items() if "--" in name}
    arms = ("no-memory--{}", "exprag-lora--{}--matched", "exprag-lora--{}--empty")
    assert played == {f"{arm.format(half)}--seed-2025": 3 for half in ("easy", "hard") for arm in arms}
    assert {name: values for name, values in figures[1].items() if "--" in name} == {n: figures[0][n] for n in played}
    assert "training of" not in process.stderr  # what is done is not done again
    games = tmp_path / "out" / "games"
    assert {"results.md", "results.json", "results.png", "games.html"} <= {path.name for path in games.iterdir()}
    header, *lines = (games / "outcomes.csv").read_text(encoding="utf-8").splitlines()
    assert header.split(",")[2:] == ["exprag-lora--empty--seed-2025", "exprag-lora--matched--seed-2025", "no-memory--seed-2025"]
    assert len(lines) == 6
    assert all(set(line.split(",")[2:]) <= {"0", "1"} for line in lines)
    lessons = [json.loads(line) for line in (tmp_path / "out" / "lessons.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(int(lesson["task"]["metadata"]["scene"]) % 10 for lesson in lessons)  # none of the held-out rooms


def test_what_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    """ALFWorld's games, here: no traceback."""
    command = [sys.executable, str(FOLDER / "placement.py"), "--smoke"]
    environment = os.environ | {"ALFWORLD_DATA": str(tmp_path)}
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert process.returncode == 1
    assert "No ALFWorld games" in process.stderr
    assert "Traceback" not in process.stderr


def test_search_is_measured_without_faiss(tmp_path: Path) -> None:
    """Beside numpy alone, with one line that says how to get it."""
    (tmp_path / "faiss.py").write_text("raise ModuleNotFoundError('No module named faiss', name='faiss')\n")
    command = [sys.executable, str(FOLDER / "search_scale.py"), "--smoke", "--json"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "pip install faiss-cpu" in process.stderr
    (size,) = (value for name, value in json.loads(process.stdout).items() if " x " in name)
    assert "to_numpy" in size["bank"]["all"]
    assert "faiss_flat" not in size


@pytest.mark.parametrize("scale", ["ablations", "cpu", "drift", "gpu", "scienceworld", "smoke"])
def test_plans_of_learning_are_whole(scale: str) -> None:
    command = [sys.executable, str(FOLDER / "learning" / "plan.py"), scale]
    plan = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert plan["experience"]["expert"] == ("gold" if scale == "scienceworld" else "searcher")
    assert {arm.get("adapter", "") for arm in plan["arms"].values()} <= {"", *plan["adapters"]}
    if scale == "drift":
        assert set(plan["arms"]) == {"lora", "exprag-lora"}
        assert plan["run"]["environment"] == plan["bank"]["environment"] == "drift"
        assert plan["recipe"]["r"] == 16  # of the plan that it extends


def test_tables_give_the_mean_of_the_seeds(tmp_path: Path) -> None:
    types = ["pick_and_place_simple"] * 4 + ["pick_heat_then_place_in_recep"] * 4
    won = {
        "lora--seed-1": "11100000",
        "lora--seed-2": "11000000",
        "exprag-lora--matched--seed-1": "11101100",
        "exprag-lora--matched--seed-2": "11111000",
    }
    by_game = zip(types, "abcdefgh", *won.values(), strict=True)
    file = tmp_path / "outcomes.csv"
    file.write_text("\n".join(",".join(line) for line in [("type", "game", *won), *by_game]), encoding="utf-8")
    command = [sys.executable, str(FOLDER / "learning" / "tables.py"), str(file)]
    environment = os.environ | {"PYTHONUTF8": "1"}
    output = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=120, env=environment).stdout
    means = [line for line in output.split("mean of seeds")[1].splitlines() if line.startswith(("| lora", "| exprag-lora"))]
    lora, exprag_lora = means
    assert lora.startswith("| lora | – | 62.5 % [")
    assert "| 0.0 % | 0.0 % | – | – | – |" in lora  # no interval where all games went alike
    assert exprag_lora.startswith("| exprag-lora | matched | 87.5 % [")
    assert [cell.split()[0] for cell in exprag_lora.split(" | ")[5:]] == ["+25.0", "+37.5", "+37.5"]


def test_the_evidence_is_drawn_from_the_outcomes(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "learning" / "figure.py"), str(tmp_path / "evidence.png")]
    subprocess.run(command, check=True, timeout=300, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    assert (tmp_path / "evidence.png").read_bytes().startswith(b"\x89PNG")


def test_the_evidence_page_says_what_the_outcomes_say(root: Path) -> None:
    page = (root / "docs" / "evidence.md").read_text(encoding="utf-8")
    command = [sys.executable, str(FOLDER / "learning" / "tables.py")]
    environment = os.environ | {"PYTHONUTF8": "1"}
    process = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=120, env=environment)
    rows = [line for line in process.stdout.splitlines() if line]
    assert len(rows) > 10
    assert [row for row in rows if row not in page] == []
