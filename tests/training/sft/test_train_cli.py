"""`exprag train`, `select` and `curve`, and `accelerate launch` in front of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call

from exprag.errors import ExpragError
from exprag.models.cards import Card

SETTINGS = ["--num-train-epochs", "2", "--batch-size", "2", "--learning-rate", "1e-2"]


def run(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
def test_from_rows_to_a_chosen_adapter(base: str, toy_dataset: Path, tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine.toml"
    mine.write_text('base = "rslora-128"\nr = 4\n')
    easy = tmp_path / "easy.toml"
    easy.write_text('environment = "toy:Toy"\ntypes = ["fetch"]\nlimit = 1\nmax_steps = 1\nworkers = 0\n')
    output = run(
        *("train", str(toy_dataset), "--model", base, "-o", str(out), "--recipe", str(mine), *SETTINGS, "--lora-alpha", "8"),
        *("--validation", "0.25", "--rollout", str(easy), "--allow-code", "--max-new-tokens", "2"),
    )
    assert f"{out / 'best'}: 2 epochs, 4 steps" in output
    card = Card.read(out / "best")
    assert (card.recipe["name"], card.recipe["r"], card.recipe["lora_alpha"]) == ("mine", 4, 8)
    assert "easy" in card.results["rollouts"]  # type: ignore[operator]

    fields = ["--max-steps", "1", "-e", "toy:Toy", "--limit", "1", "--max-new-tokens", "2"]
    output = run("select", str(out), "--types", "fetch", "--types", "carry", "--by", "carry", *fields)
    assert "by carry" in output
    assert (out / "rollouts" / "carry" / "checkpoint-4" / "episodes.jsonl").is_file()
    output = run("curve", str(out), "--html", str(tmp_path / "page.html"))
    assert (out / "curve.png").is_file()
    assert "carry" in (tmp_path / "page.html").read_text()


def test_bad_input_is_told(base: str, toy_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ExpragError, match="not a dataset"):
        run("train", str(tmp_path), "--model", base, "-o", str(tmp_path / "out"))
    with pytest.raises(ExpragError, match="no recipe 'lora'"):
        run("train", str(toy_dataset), "--model", base, "-o", str(tmp_path / "out"), "--recipe", "lora")
    with pytest.raises(ExpragError, match="NAME=PATH"):
        run("train", str(toy_dataset), "--model", base, "-o", "out", "--validation", "a=b", "--validation", "c")
    with pytest.raises(ExpragError, match="no whole checkpoint"):
        run("select", str(tmp_path))
    with pytest.raises(ExpragError, match=r"no metrics\.jsonl"):
        run("curve", str(tmp_path))


@pytest.mark.slow
def test_accelerate_launch_trains_on_two_processes(base: str, toy_dataset: Path, tmp_path: Path) -> None:
    """Two processes on the CPU (gloo), a batch of two rows between them: every checkpoint whole, and the rows shared out."""
    accelerate = shutil.which("accelerate", path=str(Path(sys.executable).parent))
    if accelerate is None:
        pytest.skip("accelerate's launcher is not installed beside this Python")
    # Its --cpu starts one process only; the launcher of several works without a GPU too.
    command = [accelerate, "launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", "--main_process_port", "0", "-m", "exprag", "train", str(toy_dataset)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    out = tmp_path / "out"
    process = subprocess.run(
        [*command, "--model", base, "-o", str(out), *SETTINGS], env=env, capture_output=True, text=True, timeout=500
    )
    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-4000:]
    assert process.stdout.count("2 epochs, 4 steps") == 1  # told once
    assert sorted(p.name for p in out.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4"]
    assert {p.name for p in (out / "checkpoint-4").glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}
    assert Card.read(out / "checkpoint-4").results["loss"]
