"""Figures and pages of a real training's log and of runs of known outcome."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from exprag.errors import RunError
from exprag.runs import RunConfig, RunDirectory, choose_tasks
from exprag.training import TrainResult, draw_curve
from exprag.training.sft.curve import read_curve
from exprag.trajectory import Step, Trajectory
from toy import Toy

SOLVED = {"checkpoint-3": 1, "checkpoint-6": 3, "checkpoint-9": 2}


def test_the_curve_shows_what_was_logged_and_played(trained: TrainResult, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    set_ = RunConfig.make(environment="toy:Toy", types=("fetch",), k=0)
    for checkpoint, solved in SOLVED.items():
        (tmp_path / checkpoint).mkdir()
        (tmp_path / checkpoint / "exprag.json").write_bytes((trained.out / checkpoint / "exprag.json").read_bytes())
        folder = RunDirectory(tmp_path / "rollouts" / "easy & <more>" / checkpoint)
        folder.prepare(set_)
        for number, task in enumerate(choose_tasks(Toy(), set_)):
            steps = (Step(observation="a", action="look"),)
            folder.append(Trajectory(task=task, steps=steps, success=number < solved, score=0.0, ended="terminated"))
    log = (trained.out / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(log + '{"step": 9, "ep')  # torn by a kill

    curve = read_curve(tmp_path)
    logged = [json.loads(line) for line in log.splitlines()]
    assert curve.losses["validation"] == [(line["epoch"], line["eval_loss"]) for line in logged if "eval_loss" in line]
    assert [epoch for epoch, _ in curve.losses["validation"]] == [1, 2, 3]
    assert [r.solved for r in curve.rollouts["easy & <more>"]] == [1, 3, 2]

    png, page = draw_curve(tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    assert "75.0% (30.1% to 95.4%), n = 4" in text
    assert "easy &amp; &lt;more&gt;" in text
    assert not re.search(r"<script|<link|<img|@import|url\((?!#)|xlink:href=\"(?!#)", text)  # needs nothing else, runs nothing
    before = page.read_bytes()
    draw_curve(tmp_path)
    assert page.read_bytes() == before


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no metrics\.jsonl"):
        draw_curve(tmp_path)
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(RunError, match="Nothing was logged"):
        draw_curve(tmp_path)
