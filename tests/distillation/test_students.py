"""Students: trained on the teacher's rows with the recipe of the paper, and played without hints beside the other arms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hints_material import play, settings
from training_fixtures import base  # noqa: F401 - a fixture

from exprag.distillation.outcome import outcomes
from exprag.evaluation import load_run


@pytest.mark.slow
def test_students_are_trained_and_compared(base: str, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """A threshold that every episode passes gives the control its rows; a model of a few thousand parameters learns nothing."""
    out = tmp_path / "out"
    recipe = {"r": 2, "lora_alpha": 4, "num_train_epochs": 1, "qlora": False, "optim": "adamw_torch", "batch_size": 2}
    common = {"extract": 3, "held_out": 1, "threshold": -1.0, "max_invalid": 99, "max_repeats": 99, "run": {"max_steps": 3}}
    config = settings(**common, train=True, base_model=base, recipe_options=recipe, student_options={"max_new_tokens": 4})
    play(config, out)
    assert [arm.arm for arm in outcomes(out / "held-out")] == ["base", "hints-3", "sft", "distilled"]
    for name, arm in (("control", "sft"), ("distill", "distilled")):
        adapter = json.loads((out / "students" / f"{name}.json").read_text())["adapter"]
        run = load_run(out / "held-out" / arm)
        assert run.config["model"] == f"hf:{adapter}?max_new_tokens=4"
        assert run.config["bank"] is None
        assert run.episodes[0].provenance.extra.get("hints") is None
        assert json.loads((out / "students" / name / "training.json").read_text())["recipe"]["name"] == "hint-distill"
