"""Runs in the formats of others, read back by their own readers where they are installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import exprag
from evaluation.material import episode, write_run
from evaluation.test_page import HOSTILE

from exprag.errors import ConfigError, PluginError, RunError
from exprag.evaluation import RunResult
from exprag.export import inspect_log, write_hf_dataset, write_inspect_log
from exprag.trajectory import EpisodeError, Recalled, Step, Task, Trajectory, Usage


def run() -> tuple[RunResult, dict[str, Trajectory]]:
    """Won, lost, broken off, of unknown outcome and with hostile text; in an environment whose prompts can be written again."""
    past = episode("past", True)

    def play(id: str, success: bool | None, *actions: str, **more: Any) -> Trajectory:
        items = (Recalled(id=past.id, score=0.5, reason="alike"),)
        steps = tuple(
            Step(observation=f"o {n} {HOSTILE[0]}", action=action, recalled=items, usage=Usage(prompt=10, completion=2))
            for n, action in enumerate(actions)
        )
        task = Task(environment="alfworld-generated", id=id, split="test", type="t", instruction=f"put {id} in box")
        fields = {"score": None if success is None else float(success), "final_observation": "the end", **more}
        return Trajectory.from_dict({"task": task, "steps": steps, "success": success, **fields})

    error = EpisodeError(boundary="environment", message="api_key=abcdefgh12345678 is gone")
    odd = episode("odd", False).model_copy(update={"steps": (Step(observation="\ud800", action="\x00", thought=HOSTILE[2]),)})
    odd = odd.model_copy(update={"task": odd.task.model_copy(update={"type": "half \ud800"})})
    episodes = (
        play("mug", True, "look", "take mug"),
        play("cup", False, *["wait"] * 4, ended="truncated"),
        play("pen", False, "look", ended="error", error=error),
        play("key", None, "look"),
        play("mug", False, "go", provenance={"seed": 2}),
        odd,
        play("none", False),
    )
    config = {"environment": "alfworld-generated", "split": "test", "model": "case-based", "bank": "b"}
    config["api_key"] = "very-secret-1"
    return RunResult("memory", config, {"packages": {"exprag": "0.1.0"}}, episodes), {past.id: past}


def test_a_log_says_what_was_played_and_why_it_was_lost() -> None:
    result, recalled = run()
    log = inspect_log(result, recalled)
    json.dumps(log, ensure_ascii=False).encode()  # or Inspect could not write it
    assert log["eval"]["task"] == "alfworld-generated/test"
    assert "very-secret" not in json.dumps(log)
    assert "abcdefgh12345678" not in json.dumps(log)
    won, lost, broken, unknown, again, *_ = log["samples"]
    assert [sample["scores"]["success"]["value"] for sample in log["samples"]] == ["C", "I", "I", "N", "I", "I", "I"]
    assert won["scores"]["success"]["explanation"] is None
    assert lost["scores"]["success"]["explanation"].startswith("never found the object: ")
    assert broken["error"]["message"].startswith("environment: ")
    assert "score" not in unknown["scores"]
    assert (won["epoch"], again["epoch"], log["eval"]["config"]["epochs"]) == (1, 2, 2)
    assert [message["role"] for message in won["messages"]] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert '<experience outcome="successful">' in won["messages"][0]["content"], "the prompt as it was sent"
    assert won["messages"][-1]["content"] == "the end"
    assert won["metadata"]["steps"][0]["recalled"][0]["reason"] == "alike"
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 1 / 7


@pytest.mark.parametrize("suffix", ["eval", "json"])
def test_inspect_reads_the_log(tmp_path: Path, suffix: str) -> None:
    reader = pytest.importorskip("inspect_ai.log", reason="inspect-ai is not installed: pip install 'exprag[inspect]'")
    result, recalled = run()
    path = write_inspect_log(tmp_path / "logs" / f"run.{suffix}", result, recalled)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    log = reader.read_eval_log(str(path))
    assert (log.status, log.eval.task, len(log.samples)) == ("success", "alfworld-generated/test", 7)
    by_place = {(sample.id, sample.epoch): sample for sample in log.samples}
    sample = by_place["alfworld-generated:mug", 1]
    assert (sample.messages[0].role, sample.scores["success"].value, sample.scores["score"].value) == ("system", "C", 1.0)
    assert sample.messages[1].text == f"o 0 {HOSTILE[0]}"
    assert by_place["alfworld-generated:cup", 1].limit.type == "message"
    assert next(iter(sample.model_usage.values())).total_tokens == 24
    assert reader.read_eval_log(str(path), header_only=True).results.scores[0].metrics["accuracy"].value == 1 / 7


def test_without_inspect_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "inspect_ai.log", None)
    with pytest.raises(PluginError, match=r"exprag\[inspect\]"):
        write_inspect_log(tmp_path / "run.eval", run()[0])
    assert list(tmp_path.iterdir()) == []


def test_datasets_reads_the_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: pip install 'exprag[train]'")
    result, _ = run()
    folder = write_hf_dataset(tmp_path / "episodes", result)
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"), split="episodes")
    assert loaded["task"] == ["mug", "cup", "pen", "key", "mug", "odd", "none"]
    assert loaded["success"] == [True, False, False, None, False, False, False]
    assert loaded["cause"][:3] == [None, "never_found", "environment_broke"]
    steps = loaded[0]["steps"]
    assert [step["action"] for step in steps] == ["look", "take mug"]
    assert steps[0]["observation"] == f"o 0 {HOSTILE[0]}"
    assert steps[0]["recalled"][0]["score"] == 0.5
    assert (steps[0]["prompt_tokens"], loaded[5]["steps"][0]["observation"]) == (10, "\\ud800")
    card = (folder / "README.md").read_text()
    assert "7 episodes of alfworld-generated, 1 solved" in card
    assert "very-secret" not in card
    assert "abcdefgh12345678" not in "".join(str(text) for text in loaded["error"])
    with pytest.raises(ConfigError, match="exists already"):
        write_hf_dataset(folder, result)


def test_a_data_set_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    def break_off(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "out").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_batch", break_off)
        with pytest.raises(RunError, match="No space left"):
            write_hf_dataset(tmp_path / "out", run()[0])
    assert [place.name for place in tmp_path.rglob("*")] == ["out"]
    assert (write_hf_dataset(tmp_path / "out", run()[0]) / "README.md").is_file()  # so the same command may be given again


def test_an_empty_run_is_a_data_set_without_rows(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    folder = write_hf_dataset(tmp_path / "none", RunResult("none", {"environment": "toy"}))
    table = pq.read_table(folder / "data" / "episodes.parquet")
    assert (table.num_rows, "steps" in table.column_names) == (0, True)
    assert inspect_log(RunResult("none", {"environment": "toy"}), {})["samples"] == []


def test_the_command_exports_a_run_directory(tmp_path: Path) -> None:
    result, _ = run()
    config = {name: value for name, value in result.config.items() if name != "api_key"}
    folder = write_run(tmp_path / "run", RunResult("memory", config | {"bank": None}, {}, result.episodes[:2]))
    done = exprag("export", folder, "--format", "hf", "--out", tmp_path / "hf")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "hf" / "data" / "episodes.parquet").is_file()
    assert exprag("export", folder, "--format", "hf", "--out", tmp_path / "hf").exit_code == 1
    assert exprag("export", folder, "--format", "csv", "--out", tmp_path / "x").exit_code == 2
