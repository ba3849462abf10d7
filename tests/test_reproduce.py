"""A paper's tables: the checked-in files, and ours beside the paper's."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import exprag
from tiny import make_model

from exprag.errors import ConfigError
from exprag.reproduce import Reproduction, make_plan, reproduce, table_names
from exprag.reproduce.hint_tables import reproduce_hints
from exprag.reproduce.plan import Plan
from exprag.runs import choose_tasks
from exprag.runs.player import make_environment
from exprag.training import read_rows

TABLES = ["success", "index", "k", "refresh", "formats", "epochs"]


def plan(**options: object) -> Plan:
    return make_plan("exprag", "alfworld", "case-based", **options)  # type: ignore[arg-type]


@pytest.fixture
def without_games(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "nothing"))


def test_the_papers_figures_are_those_of_the_notes() -> None:
    """The table of the reference notes: success on ALFWorld, easy / hard, by method and model."""
    (table,) = plan(tables=["success"]).tables
    figures = {row.arm: {figure.model: figure.values for figure in row.figures} for row in table.rows}
    assert figures["exprag"]["Ministral-3-8B"] == {"easy": 54.8, "hard": 47.5}
    assert figures["lora"]["Gemma-3-4B"] == {"easy": 61.6, "hard": 1.6}
    assert figures["lora-retrieval"]["Qwen2.5-7B"] == {"easy": 89.0, "hard": 70.5}
    assert figures["exprag-lora"]["Qwen2.5-7B-1M"] == {"easy": 97.3, "hard": 91.8}
    assert [row.figures[2].about for row in table.rows if row.arm == "exprag"] == [True], "read from a chart"
    (index,) = plan(tables=["index"]).tables
    by_state = {row.index_state: row.figures[0].values for row in index.rows if row.arm == "exprag-lora" and row.figures}
    assert by_state == {"matched": {"hard": 88.5}, "mismatched": {"hard": 39.3}, "empty": {"hard": 29.5}}


def test_all_tables_are_one_matrix_in_which_each_run_stands_once(without_games: None) -> None:
    assert table_names("exprag") == TABLES
    whole = plan()
    arms = {cell.arm for cell in whole.matrix.cells}
    assert arms == {"no-memory", "exprag", "k1", "k4", "dynamic", "agentic_json", "compact_json", "textual"}
    assert len(whole.matrix.cells) == 2 * (1 + 4 + 6)
    states = {cell.index_state for cell in whole.matrix.cells if cell.arm == "exprag"}
    assert states == {"matched", "mismatched", "all", "empty"}
    assert {label for table in whole.tables for label in table.left_out} == {"LoRA", "LoRA + retrieval at test", "ExpRAG-LoRA"}
    assert whole.environment == "alfworld-generated"
    assert any("cannot be played here" in note for note in whole.notes)


def test_full_scale_is_the_papers(alfworld_full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALFWORLD_DATA", str(alfworld_full))
    whole = plan(scale="full", tables=["success"])
    assert whole.environment == "alfworld"
    counts = {cell.scope: len(choose_tasks(make_environment(cell.config), cell.config)) for cell in whole.matrix.cells}
    assert counts == {"easy": 73, "hard": 61}
    scienceworld = make_plan("exprag", "scienceworld", "case-based", "full", tables=["success"])
    counts = {cell.scope: len(choose_tasks(make_environment(cell.config), cell.config)) for cell in scienceworld.matrix.cells}
    assert counts == {"easy": 84, "hard": 65}, "the paper says about 85 and 64"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--env", "webshop"), "not played with the environment 'webshop'"),
        (("--env", "alfworld-generated"), "not played with the environment"),
        (("--scale", "large"), "scale 'large'"),
        (("--tables", "sucess"), "Did you mean 'success'"),
        (("--seeds", "one"), "whole numbers"),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[str, str], message: str, tmp_path: Path) -> None:
    outcome = exprag("reproduce", "exprag", "--out", tmp_path / "out", *arguments)
    assert outcome.exit_code == 1
    assert message in " ".join(outcome.stderr.split())
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="no tables of a paper"):
        make_plan("other", "alfworld", "case-based")


def test_ours_stands_beside_the_papers(without_games: None, tmp_path: Path) -> None:
    small = plan(tables=["success", "epochs"], run={"per_type": 1, "max_steps": 20, "workers": 0})
    assert small.matrix.bank is not None
    small = replace(small, matrix=replace(small.matrix, bank=small.matrix.bank.changed(per_type=2)))
    result = reproduce(small, tmp_path / "out")
    (table,) = result.tables
    assert table.name == "success", "without an adapter there are no epochs"
    assert result.figure is None
    rows = {row.label: row for row in table.rows}
    assert (rows["no memory"].cells["all"].ours.n, rows["no memory"].cells["all"].paper) == (6, 0.045)
    assert rows["ExpRAG, frozen model"].cells["easy"].paper == pytest.approx(0.548)
    assert not rows["LoRA"].played
    assert rows["LoRA"].cells["easy"].paper == pytest.approx(0.986)
    for row in rows.values():
        for cell in row.cells.values():
            limits = cell.ours.interval
            assert cell.differs == bool(limits and cell.paper is not None and not limits.low <= cell.paper <= limits.high)
    assert all(each.checked and not each.offences for each in result.report.audits)
    text = result.to_markdown()
    assert "LoRA (not played)" in text
    assert "Not played, because it needs training: LoRA; LoRA + retrieval at test; ExpRAG-LoRA." in text
    assert "paper: Ministral-3-8B" in text
    data = json.loads(result.to_json())
    assert data["different"] == result.different
    shown = exprag("report", tmp_path / "out", "--json")
    assert [arm["name"] for arm in json.loads(shown.stdout)["arms"]] == [arm.name for arm in result.report.arms]


def test_the_model_that_the_paper_has_is_compared_with_itself(without_games: None, tmp_path: Path) -> None:
    from exprag.reproduce.filling import like

    for spec, model in [
        ("hf:Qwen/Qwen2.5-7B-Instruct-1M", "Qwen2.5-7B-1M"),
        ("hf:Qwen/Qwen2.5-7B-Instruct", "Qwen2.5-7B"),
        ("openai:google/gemma-3-4b-it", "Gemma-3-4B"),
        ("case-based", "Ministral-3-8B"),
    ]:
        assert like(make_plan("exprag", "alfworld", spec)) == model


def test_hint_distillation_stands_beside_its_paper(without_games: None, tmp_path: Path) -> None:
    lines: list[str] = []
    run = {"types": ["pick_and_place_simple"], "max_steps": 12, "workers": 0}
    sizes = {"extract": 4, "held_out": 2}
    result = reproduce_hints("alfworld", "case-based", "small", tmp_path / "out", run=run, sizes=sizes, say=lines.append)
    (table,) = result.tables
    rows = {row.label: row for row in table.rows}
    assert (rows["base"].cells["all"].ours.n, rows["base"].cells["all"].paper) == (2, pytest.approx(0.265))
    assert rows["+ hints (k = 3)"].played
    assert result.left_out == ["SFT on the base agent's successes", "distilled: SFT on the teacher's, without hints"]
    assert "Hints were written by expert." in result.report.notes
    assert [arm.name for arm in result.report.arms] == ["base", "hints-3"]
    assert "easy" not in result.to_markdown().splitlines()[2], "this paper has no halves"
    with pytest.raises(ConfigError, match="not played with the environment 'scienceworld'"):
        reproduce_hints("scienceworld", "case-based", "small", tmp_path / "other")
    with pytest.raises(ConfigError, match="cannot be trained"):
        reproduce_hints("alfworld", "case-based", "small", tmp_path / "other", train=True)


@pytest.mark.slow
def test_a_model_that_can_be_trained_fills_the_other_rows(
    without_games: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl")
    model = f"hf:{make_model(tmp_path / 'model')}?max_new_tokens=4"
    short = {"per_type": 1, "limit": 1, "max_steps": 2, "workers": 0, "memory_budget": 300}
    fields = {"tables": ["success", "epochs"], "run": short, "training": {"limit": 2, "num_train_epochs": 2}}
    whole = make_plan("exprag", "alfworld", model, **fields)  # type: ignore[arg-type]
    assert whole.matrix.bank is not None
    small_bank = whole.matrix.bank.changed(types=("easy",), per_type=2, limit=4)

    def small(plan: Plan) -> Plan:
        return replace(plan, matrix=replace(plan.matrix, bank=small_bank))

    made = small(whole)
    made = replace(made, with_adapters=lambda specs: small(make_plan("exprag", "alfworld", model, adapters=specs, **fields)))  # type: ignore[arg-type]
    first = reproduce(made, tmp_path / "out")
    assert first.left_out == ["LoRA", "LoRA + retrieval at test", "ExpRAG-LoRA"]
    assert first.figure is None
    steps: list[tuple[str, int, int]] = []
    played: list[tuple[str, int, int]] = []

    def break_off(*state: object) -> None:
        if state == ("ExpRAG-LoRA", 1, 2):
            raise KeyboardInterrupt

    def update(*state: object) -> None:
        steps.append(state)  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        reproduce(made, tmp_path / "out", train=True, training_progress=update, epochs_progress=break_off)
    trained = len(steps)
    result = reproduce(
        made, tmp_path / "out", train=True, training_progress=update, epochs_progress=lambda *state: played.append(state)
    )
    assert len(steps) == trained, "nothing is trained twice"
    assert [state for state in played if state[0] == "LoRA"] == [("LoRA", 1, 1), ("LoRA", 2, 2)], "nothing is played twice"
    assert played[-1] == ("ExpRAG-LoRA", 2, 2)
    assert {kind for kind, _, _ in steps} == {"without memory", "with memory"}
    assert all(row.played for row in result.tables[0].rows)
    assert result.left_out == []
    names = {arm.arm for arm in result.report.arms}
    assert names == {"no-memory", "exprag", "lora", "lora-retrieval", "exprag-lora"}
    assert reproduce(made, tmp_path / "out").tables == result.tables, "what was trained is played in any case, nothing twice"
    rollouts = tmp_path / "out" / "adapters" / "without-memory" / "training" / "rollouts" / "hard"
    (other,) = rollouts.glob("*/config.json")
    other.write_text(other.read_text().replace('"max_steps": 2', '"max_steps": 3'))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        again = reproduce(made, tmp_path / "out", train=True)
    assert again.tables == result.tables, "neither a checkpoint that cannot be played nor a figure keeps back the rest"
    assert again.figure is None
    notes = " ".join(again.report.notes)
    assert f"LoRA, {other.parent.name}, hard tasks: not played to the end. {other.parent} holds another run" in notes
    assert "there is no figure. Drawing needs matplotlib." in notes
    trained_on = set()
    for kind, memory in (("without-memory", False), ("with-memory", True)):
        rows = list(read_rows(tmp_path / "out" / "adapters" / kind / "rows"))
        assert len(rows) == 2
        assert all(bool(row["recalled"]) == memory for row in rows)
        trained_on |= {row["task"] for row in rows}
    check_epochs(result, tmp_path, trained_on)


def check_epochs(result: Reproduction, folder: Path, trained_on: set[str]) -> None:
    """Success and validation loss of each epoch: from the arm without training to the one with the adapter."""
    table = result.tables[1]
    points = [(row.course, row.epoch, row.cells["easy"].ours.n, row.cells["hard"].ours.n, set(row.losses)) for row in table.rows]
    halves = {"easy", "hard"}
    expected = [(0.0, set()), (1.0, halves), (2.0, halves)]
    assert points == [(course, epoch, 1, 1, losses) for course in ("LoRA", "ExpRAG-LoRA") for epoch, losses in expected]
    cells = {run.name: run for run in result.report.runs}
    for course, arm in (("LoRA", "lora"), ("ExpRAG-LoRA", "exprag-lora")):
        last = [row for row in table.rows if row.course == course][-1]
        (episode,) = cells[f"hard: {arm}"].episodes
        assert last.cells["hard"].ours.mean == float(episode.success is True), "the last epoch is the arm with the adapter"
    for kind in ("without-memory", "with-memory"):
        place = folder / "out" / "adapters" / kind
        (checkpoint, *_) = sorted((place / "training").glob("checkpoint-*"))
        lines = [json.loads(line) for line in (place / "training" / "metrics.jsonl").read_text().splitlines()]
        measured = next(line["eval_hard_loss"] for line in lines if line["epoch"] == 1.0 and "eval_hard_loss" in line)
        course = "LoRA" if kind == "without-memory" else "ExpRAG-LoRA"
        row = next(row for row in table.rows if (row.course, row.epoch) == (course, 1.0))
        assert row.losses["hard"] == measured
        config = json.loads((place / "training" / "rollouts" / "hard" / checkpoint.name / "config.json").read_text())
        assert config["model"].startswith(f"hf:{checkpoint}?")
        assert (config["bank"] is not None) == (kind == "with-memory")
        for half in halves:
            held_out = {row["task"] for row in read_rows(place / f"validation-{half}")}
            assert held_out
            assert not held_out & trained_on
    assert result.figure == folder / "out" / "epochs.png"
    assert result.figure.read_bytes().startswith(b"\x89PNG")
    assert "| ExpRAG-LoRA, epoch 1 |" in result.to_markdown()
    page = result.report.to_html(folder / "page.html").read_text(encoding="utf-8")
    assert "ExpRAG-LoRA, epoch 1" in page
    assert 'src="data:image/png;base64,' in page
