"""Matrices: expansion, shared work once, resume, refusals; and their report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import exprag

from exprag import evaluate
from exprag.errors import ConfigError, ExpragError, RunError
from exprag.evaluation import report_on
from exprag.evaluation.matrices import load_matrix
from exprag.runs import RunConfig, RunDirectory
from exprag.runs.matrix import BankPlan, Matrix
from exprag.runs.matrix_play import MatrixProgress, play_matrix

TOML = """
name = "toys"
seeds = [1, 2]
index_states = ["matched", "empty"]

[run]
environment = "toy:Toy"
environment_options = {size = 4}
split = "test"
workers = 0
max_steps = 6

[environments.fetch]
types = ["fetch"]
[environments.carry]
types = ["carry"]

[bank]
split = "train"

[arms.no-memory]
[arms.memory]
bank = "expert"
k = 1
[arms.dynamic]
bank = "expert"
strategy = "trajectory"
seeds = [1]
index_states = ["all"]
environments = ["fetch"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toys.toml"
    path.write_text(TOML)
    return path


def test_what_changes_no_result_is_no_other_matrix(file: Path, tmp_path: Path) -> None:
    play_matrix(Matrix.read(file, allow_code=True), tmp_path / "m")
    more = {"budget_tokens": 10**9, "price_prompt": 1.0, "price_completion": 2.0, "worker_memory": 4.0, "concurrency": 1}
    play_matrix(Matrix.read(file, allow_code=True, run=more), tmp_path / "m")
    with pytest.raises(RunError, match=r"holds another matrix: .*max_steps"):
        play_matrix(Matrix.read(file, allow_code=True, run={"max_steps": 5}), tmp_path / "m")


def folders(matrix: Matrix) -> list[str]:
    return [cell.folder for cell in matrix.cells]


def test_a_file_is_expanded_into_cells_seed_by_seed(file: Path) -> None:
    matrix = Matrix.read(file, allow_code=True)
    assert folders(matrix) == [
        "no-memory--fetch--seed-1",
        "memory--fetch--matched--seed-1",
        "memory--fetch--empty--seed-1",
        "dynamic--fetch--all--seed-1",
        "no-memory--carry--seed-1",
        "memory--carry--matched--seed-1",
        "memory--carry--empty--seed-1",
        "no-memory--fetch--seed-2",
        "memory--fetch--matched--seed-2",
        "memory--fetch--empty--seed-2",
        "no-memory--carry--seed-2",
        "memory--carry--matched--seed-2",
        "memory--carry--empty--seed-2",
    ]
    cell = matrix.cells[1]
    assert (cell.config.seed, cell.config.types) == (1, ("fetch",))
    assert (cell.config.agent.index_state, cell.config.agent.k) == ("matched", 1)
    assert [each.expert_bank for each in matrix.cells[:4]] == [False, True, True, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("k = 1", "kk = 1"), "The arm 'memory': .*kk"),
        (("[arms.dynamic]", '[arms."Memory"]'), "would share the folder"),
        (('name = "toys"', 'baseline = "nobody"'), "baseline 'nobody' is not an arm"),
        (("seeds = [1, 2]", 'seeds = ["one"]'), "seeds"),
        (('"matched", "empty"', '"full"'), "index_states"),
        (("[arms.no-memory]", "[arms.no-memory"), "not valid TOML"),
        (("[arms.no-memory]", '[arms."***"]'), "no letter and no digit"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(file: Path, change: tuple[str, str], message: str) -> None:
    text = TOML.replace(*change).replace('strategy = "trajectory"\nseeds = [1]', "seeds = [1, 2]")
    file.write_text(text.replace('index_states = ["all"]\n', "").replace('environments = ["fetch"]\n', ""))
    with pytest.raises(ConfigError, match=message) as error:
        Matrix.read(file, allow_code=True)
    assert str(file) in str(error.value)


def test_code_that_a_file_names_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="names code to run"):
        Matrix.read(file)


def test_only_configurations_are_arms() -> None:
    with pytest.raises(ConfigError, match="is a dict, not a RunConfig"):
        Matrix.make({"a": {"environment": "toy:Toy"}})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="arms"):
        Matrix.make({})


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[MatrixProgress]]:
    """The matrix of the file, interrupted once and completed; and what its progress told in the second call."""
    place = tmp_path_factory.mktemp("matrix")
    (place / "toys.toml").write_text(TOML)
    matrix = Matrix.read(place / "toys.toml", allow_code=True)

    def stop(state: MatrixProgress) -> None:
        if state.played == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play_matrix(matrix, place / "out", progress=stop)
    states: list[MatrixProgress] = []
    play_matrix(matrix, place / "out", progress=states.append)
    return place / "out", states


def test_an_interrupted_matrix_is_completed(played: tuple[Path, list[MatrixProgress]]) -> None:
    out, states = played
    assert (states[-1].episodes, states[-1].total) == (4 + 13 * 2, 4 + 13 * 2)
    assert states[-1].played == states[-1].total - 9
    assert states[-1].seconds_left == pytest.approx(0.0)
    assert (states[-1].number, states[-1].parts) == (14, 14)
    about = json.loads((out / "matrix.json").read_text())
    assert len(about["cells"]) == 13
    for cell in about["cells"]:
        assert len(RunDirectory(out / "cells" / cell["folder"]).episodes()) == 2


def test_shared_work_is_done_once_and_read_at_one_version(played: tuple[Path, list[MatrixProgress]]) -> None:
    out, _ = played
    (bank,) = (out / "banks").iterdir()
    configs = [json.loads(path.read_text()) for path in (out / "cells").glob("*/config.json")]
    banks = {(config["bank"], config["bank_version"]) for config in configs if config["bank"]}
    assert {uri for uri, _ in banks} == {str(bank / "bank")}
    assert len(banks) == 1
    assert json.loads((bank / "version.json").read_text())["version"] in {version for _, version in banks}


def test_the_same_again_plays_nothing(played: tuple[Path, list[MatrixProgress]]) -> None:
    out, _ = played
    before = {path: path.read_bytes() for path in out.rglob("episodes.jsonl")}
    states: list[MatrixProgress] = []
    play_matrix(Matrix.read(out.parent / "toys.toml", allow_code=True), out, progress=states.append)
    assert states[-1].played == 0
    assert before == {path: path.read_bytes() for path in out.rglob("episodes.jsonl")}


def test_another_matrix_is_refused_and_a_larger_one_is_not(played: tuple[Path, list[MatrixProgress]], tmp_path: Path) -> None:
    out, _ = played
    file = tmp_path / "other.toml"
    for change, message in [
        (("k = 1", "k = 2"), "agent.k"),
        (("seeds = [1, 2]", "seeds = [1]"), "is not in this one"),
        (('split = "train"', 'split = "train"\nper_type = 1'), "its bank is made otherwise"),
    ]:
        file.write_text(TOML.replace(*change))
        with pytest.raises(RunError, match=f"holds another matrix: .*{message}"):
            play_matrix(Matrix.read(file, allow_code=True), out)
    file.write_text(TOML.replace("workers = 0", "workers = 0\nstep_timeout = 60"))
    play_matrix(Matrix.read(file, allow_code=True), out)
    with pytest.raises(RunError, match="not empty and not a matrix"):
        play_matrix(Matrix.read(file, allow_code=True), tmp_path)
    with pytest.raises(RunError, match="is a file"):
        play_matrix(Matrix.read(file, allow_code=True), file)


def test_the_report_puts_seeds_together_and_keeps_tasks_apart(played: tuple[Path, list[MatrixProgress]]) -> None:
    out, _ = played
    report = report_on([out])
    names = [arm.name for arm in report.arms]
    assert names[:4] == ["fetch: no-memory", "fetch: memory [matched]", "fetch: memory [empty]", "fetch: dynamic [all]"]
    assert names[4:] == ["carry: no-memory", "carry: memory [matched]", "carry: memory [empty]"]
    assert [(arm.seeds, arm.total.n, arm.total.tasks) for arm in report.arms[:2]] == [((1, 2), 4, 2)] * 2
    assert report.baseline == "no-memory"
    assert {(each.arm.split(":")[0], each.baseline) for each in report.comparisons} == {
        ("fetch", "fetch: no-memory"),
        ("carry", "carry: no-memory"),
    }
    assert all(each.checked and not each.offences and not each.problem for each in report.audits)
    assert len(report.audits) == 5
    row = next(row for row in report.table() if row["arm"] == "memory" and row["index_state"] == "matched")
    assert (row["environment"], row["seeds"]) == ("fetch", "1 2")


def test_the_command_plays_reports_and_reads(played: tuple[Path, list[MatrixProgress]], tmp_path: Path) -> None:
    out, _ = played
    listed = exprag("matrix", out.parent / "toys.toml", "--out", out, "--allow-code", "--dry-run")
    assert "memory--fetch--matched--seed-1" in listed.stdout
    outcome = exprag("matrix", out.parent / "toys.toml", "--out", out, "--allow-code", "--csv", tmp_path / "all.csv", "--json")
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["baseline"] == "no-memory"
    assert (tmp_path / "all.csv").read_text().startswith("arm,environment,index_state")
    again = exprag("report", out, "--json", "--no-audit")
    assert json.loads(again.stdout)["arms"] == json.loads(outcome.stdout)["arms"]


def test_what_is_missing_is_said_and_the_rest_is_reported(played: tuple[Path, list[MatrixProgress]], tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "copy"
    shutil.copytree(played[0], out)
    shutil.rmtree(out / "cells" / "memory--fetch--empty--seed-2")
    path = out / "cells" / "memory--carry--matched--seed-1" / "episodes.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:1]) + '{"torn')
    report = report_on([out])
    assert "The cell memory--fetch--empty--seed-2 has not been played." in report.notes
    assert any("carry: memory [matched], seed 1: 1 of 2 episodes" in note for note in report.notes)
    assert next(arm for arm in report.arms if arm.name == "fetch: memory [empty]").seeds == (1,)
    assert all(not each.problem for each in report.audits), "the folder was moved, and its bank with it"


def config(**more: Any) -> RunConfig:
    return RunConfig.make(**({"environment": "toy:Toy", "workers": 0, "max_steps": 5, "limit": 3} | more))


def test_evaluate_is_one_call(tmp_path: Path) -> None:
    arms = {"plain": config(), "learning": config(learn="all", learn_every=2)}
    report = evaluate(arms, tmp_path / "out", seeds=(1, 2))
    assert report.baseline == "plain"
    assert [(arm.name, arm.total.n) for arm in report.arms] == [("plain", 6), ("learning", 6)]
    assert report.comparisons[0].total.tasks == 3
    assert report == evaluate(arms, tmp_path / "out", seeds=(1, 2))
    one = evaluate({"alone": config()}, tmp_path / "alone")
    assert (one.baseline, one.comparisons, one.arms[0].total.n) == (None, (), 3)


def test_arms_without_a_clear_baseline_are_reported(tmp_path: Path) -> None:
    report = evaluate({"a": config(), "b": config(max_steps=4)}, tmp_path / "out")
    assert report.comparisons == ()
    assert any("baseline is not clear" in note for note in report.notes)
    report = evaluate({"a": config(), "b": config(max_steps=4)}, tmp_path / "out", baseline="a")
    assert "step limits differ" in str(report.refusals[0])


def test_a_cell_that_cannot_be_played_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    arms = {"broken": config(bank=str(tmp_path / "nowhere")), "plain": config()}
    with pytest.raises(RunError, match=r"The cell broken--seed-2025: .*nowhere"):
        evaluate(arms, tmp_path / "out")
    assert [(run.arm, len(run.episodes)) for run in load_matrix(tmp_path / "out").runs] == [("plain", 3)]


def test_a_folder_of_which_nothing_was_played_or_that_is_damaged_is_said(tmp_path: Path) -> None:
    (tmp_path / "matrix.json").write_text(json.dumps(Matrix.make({"a": config()}).to_dict()))
    with pytest.raises(ExpragError, match="Nothing of the matrix has been played"):
        report_on([tmp_path])
    for text, message in [
        ("{", "cannot be read"),
        ("[]", "does not describe a matrix"),
        ('{"matrix": 2, "cells": []}', "version 2"),
        ('{"matrix": 1, "cells": [{"folder": "../x", "arm": "a", "config": {}}]}', "not one of its own"),
    ]:
        (tmp_path / "matrix.json").write_text(text)
        with pytest.raises(RunError, match=message):
            load_matrix(tmp_path)


def test_a_bank_plan_in_python(tmp_path: Path) -> None:
    matrix = Matrix.make({"none": config(), "memory": config(bank="expert", k=1)}, bank=BankPlan(limit=4), baseline="none")
    report = evaluate(matrix, tmp_path / "out")
    assert report.audits[0].recalls > 0
    assert report.comparisons[0].total.paired.n == 3
