"""`exprag bank show|search|map|documents` from the outside."""

from __future__ import annotations

import json
import re
import subprocess

import numpy as np
import pytest
from command_line import call

from exprag import Step, Task, Trajectory
from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import BankError, ConfigError, PluginError, RunError
from exprag.evaluation.bank_map import map_bank, map_data, write_map
from exprag.trajectory import EpisodeError, Recalled
from toy import Toy


def run(*arguments: object) -> str:
    result = call("bank", *arguments, env={"COLUMNS": "220"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def bank(tmp_path) -> Bank:
    """The expert's episodes of the toy environment; the one of train/5 is quarantined."""
    environment, bank = Toy(), Bank.create(tmp_path / "bank")
    episodes = {task.id: play_expert(environment, task, seed=1) for task in environment.tasks("train")}
    doubted = episodes.pop("train/5")
    bank.add(episodes.values())
    bank.add([doubted], trust=False)
    return bank


def test_show_tells_what_was_recalled_thought_earned_and_how_it_ended(bank):
    recalled = (Recalled(id="abc", score=0.5, reason="rank 1", step=2),)
    steps = (
        Step(observation="A room.", action="look", thought="Where am I?", recalled=recalled),
        Step(observation="A mug.", action="fly", valid=False, note="two actions", recalled=recalled),
        Step(observation="Still.", action="take mug", reward=0.5),
    )
    episode = Trajectory(
        task=Task(environment="e", id="1", instruction="find [bold]the[/bold] \x1b]0;mug"),
        steps=steps,
        success=False,
        score=0.25,
        ended="error",
        error=EpisodeError(boundary="model", message="It fell silent."),
    )
    bank.add([episode])
    text = run("show", bank.uri, episode.id)
    assert "\x1b]0" not in text
    assert "find [bold]the[/bold]" in text
    assert text.count("memory: abc at step 3, 0.5, rank 1") == 1  # while it stays, it is told once
    for part in ("Where am I?", "2 > fly not understood · two actions", "3 > take mug reward +0.5"):
        assert part in text
    assert "failure · score 0.25 · error after 3 steps" in text
    assert "model: It fell silent." in text
    assert Trajectory.from_json(run("show", bank.uri, episode.id, "--json")) == episode


def test_search_says_why_each_is_there_and_why_others_are_not(bank):
    answer = json.loads(run("search", bank.uri, "put the book in the shelf", "-k", 2, "--why", "--types", "carry", "--json"))
    assert [row["choice"] for row in answer["kept"]] == ["rank 1 by similarity", "rank 2 by similarity"]
    assert {row["type"] for row in answer["kept"]} == {"carry"}
    reasons = {row["reason"] for row in answer["left_out"]}
    assert {"quarantined: nobody has vouched for it", "filter: types"} < reasons
    assert any("2 were asked for" in reason for reason in reasons)
    assert not {row["id"] for row in answer["kept"]} & {row["id"] for row in answer["left_out"]}
    rows = json.loads(run("search", bank.uri, "put the book in the shelf", "-k", 9, "--quarantined", "--json"))
    assert len(rows) == 8
    table = run("search", bank.uri, "put the book", "--why")
    assert "Near, but left out" in table


def test_search_for_a_task_asks_as_its_episode_would(bank):
    answer = json.loads(run("search", bank.uri, "--task", "toy:Toy:train/1", "-k", 3, "--why", "--json"))
    assert answer["query"] == Toy().task("train/1").instruction
    own = [row for row in answer["left_out"] if row["reason"].startswith("excluded: the same task")]
    assert len(own) == 1
    assert own[0]["instruction"] == answer["query"]
    assert "toy:train/1 asks (task)" in run("search", bank.uri, "--task", "toy:Toy:train/1")
    answer = json.loads(run("search", bank.uri, "put the key away", "--task", "toy:Toy:train/1", "--why", "--json"))
    assert answer["query"] == "put the key away"
    assert any(row["reason"].startswith("excluded: the same task") for row in answer["left_out"])
    wider = json.loads(run("search", bank.uri, "--task", "toy:Toy:train/1", "--exclude-by", "thing", "--why", "--json"))
    assert any(row["reason"].startswith("excluded: the same thing") for row in wider["left_out"])
    other = json.loads(run("search", bank.uri, "--task", "toy:Toy:train/1", "--index-state", "mismatched", "--why", "--json"))
    assert {row["type"] for row in other["kept"]} == {"fetch"}
    assert any(row["reason"] == "index state mismatched: its type is carry" for row in other["left_out"])


def test_search_wants_something_to_look_for(bank):
    for arguments, error, message in (
        ((), ConfigError, "nothing to look for"),
        (("--task", "toy"), ConfigError, "names no task"),
        (("x", "--search-mode", "vector"), BankError, "lexical"),
        (("x", "--selector", "nobody"), PluginError, "selector"),
    ):
        with pytest.raises(error, match=message):
            run("search", bank.uri, *arguments)


def data_of(page: str) -> dict:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match
    return json.loads(match[1])


def test_the_map_is_one_page_with_all_that_is_in_the_bank(bank, tmp_path):
    hostile = "</script><script>alert(1)</script>"
    bank.add([Trajectory(task=Task(environment="e", id="x", instruction=hostile), success=None)], trust=True)
    assert "9 trajectories by tsne of keys task" in run("map", bank.uri, "-o", tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text()
    assert hostile not in page
    assert "://" not in page  # nothing comes from elsewhere
    data = data_of(page)
    assert hostile in data["instruction"]
    assert set(data["id"]) == {t.id for t in bank}
    assert [data["outcomes"][n] for n in data["outcome"]].count("success") == 8
    assert data["types"][0] == "carry"
    assert "4 trajectories" in run("map", bank.uri, "-o", tmp_path / "map.html", "--types", "carry")
    assert "3 trajectories (a sample of 9)" in run("map", bank.uri, "-o", tmp_path / "map.html", "--limit", 3)


def test_places_are_near_where_keys_are_alike(tmp_path):
    def made(number: int, words: str, kind: str) -> Trajectory:
        return Trajectory(task=Task(environment="e", id=str(number), type=kind, instruction=words), success=True)

    words = {"warm": "heat the soup in the oven", "cold": "cool a drink using ice cubes"}
    bank = Bank.create(tmp_path / "bank")
    bank.add(made(n, f"{words[kind]} word{n}", kind) for n, kind in enumerate(["warm", "cold"] * 12))
    for method in ("tsne", "pca"):
        bank_map = map_bank(bank, method=method)
        kinds = np.array([row["type"] for row in bank_map.rows])
        warm, cold = bank_map.places[kinds == "warm"], bank_map.places[kinds == "cold"]
        apart = np.linalg.norm(warm.mean(axis=0) - cold.mean(axis=0))
        assert apart > 2 * max(warm.std(axis=0).max(), cold.std(axis=0).max()), method
        assert np.array_equal(bank_map.places, map_bank(bank, method=method).places)
    assert map_data(bank, bank_map)["about"]["method"] == "pca"


def test_a_bank_with_vectors_and_equal_keys_is_mapped_too(tmp_path):
    class Two:
        spec = "two"

        def encode_keys(self, texts):
            return np.stack([self.encode_query(text) for text in texts])

        def encode_query(self, text):
            angle = len(text)
            return np.array([np.cos(angle), np.sin(angle), 0.0, 0.0], dtype=np.float32)

    bank = Bank.create(tmp_path / "bank", Two())
    bank.add(Trajectory(task=Task(environment="e", id=str(n), instruction="a" * (1 + n % 2)), success=True) for n in range(6))
    places = map_bank(bank).places
    assert len(np.unique(places.round(6), axis=0)) == 6  # none hides another


def test_keys_by_step_are_found_and_mapped(bank, tmp_path):
    bank.add_strategy("step")
    (row,) = json.loads(run("search", bank.uri, "take the mug", "--strategy", "step", "-k", 1, "--json"))
    assert isinstance(row["step"], int)
    assert f"step {row['step'] + 1}" in run("search", bank.uri, "take the mug", "--strategy", "step", "-k", 1)
    assert "of keys step" in run("map", bank.uri, "-o", tmp_path / "map.html", "--strategy", "step")


def test_a_map_of_nothing_or_to_nowhere_is_told(bank, tmp_path):
    with pytest.raises(BankError, match="no trajectory to show"):
        run("map", bank.uri, "--env", "nowhere")
    with pytest.raises(ConfigError, match="tsne"):
        run("map", bank.uri, "--method", "umap")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Cannot write"):
        write_map(tmp_path / "file" / "map.html", bank, map_bank(bank))


@pytest.mark.slow
def test_the_map_draws_in_a_browser(bank, tmp_path):
    """Ten thousand points; the script runs to its end and says what it shows."""
    from shutil import which

    browser = which("chromium") or which("google-chrome")
    if not browser:
        pytest.skip("no Chromium on this machine")
    bank_map = map_bank(bank, method="pca")
    many = type(bank_map)(bank_map.rows * 1250, np.tile(bank_map.places, (1250, 1)), "pca", "task", 20_000)
    page = write_map(tmp_path / "map.html", bank, many)
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=4000",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    text = subprocess.run([browser, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120).stdout
    assert "10,000 of 10,000 trajectories (a sample of 20,000)" in text
    assert '<span class="n">5,000</span>' in text


def test_documents_from_files_to_an_answer(tmp_path):
    (tmp_path / "api.md").write_text("# API\n\n## List users\n\nGET /users\n\n## Delete users\n\nDELETE /users\n")
    bank = tmp_path / "bank"
    assert "2 added" in run("add-documents", bank, tmp_path / "api.md")
    rows = json.loads(run("documents", bank, "how to delete", "--json"))
    assert [(row["title"], "DELETE" in row["text"]) for row in rows] == [("API > Delete users", True)]
    assert "API" not in run("documents", bank, "zebra")
    assert json.loads(run("documents", bank, "--json")) == {(tmp_path / "api.md").as_posix(): 2}
    (tmp_path / "api.md").write_text("# API\n\n## List users\n\nGET /v2/users\n")
    assert "0 added, 1 replaced, 0 unchanged, 1 of an earlier edition removed" in run("add-documents", bank, tmp_path / "api.md")
    with pytest.raises(ConfigError, match="cannot be read"):
        run("add-documents", tmp_path / "new", tmp_path / "none.md")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl", "folder"])
def test_export_and_import_by_the_name(bank, tmp_path, name):
    assert "8 trajectories" in run("export", bank.uri, tmp_path / name)
    other = tmp_path / "other"
    assert "8 added" in run("add", other, tmp_path / name, "--trust")
    assert {t.id: t for t in Bank.open(other)} == {t.id: t for t in bank}
    run("export", bank.uri, tmp_path / "named", "--format", "parquet", "--types", "carry")
    assert (tmp_path / "named").read_bytes()[:4] == b"PAR1"
