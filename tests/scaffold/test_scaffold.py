from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import call

from exprag.errors import ConfigError
from exprag.files import read_jsonl
from exprag.plugins import KINDS
from exprag.scaffold import generate, new_plugin

SPOKEN = [kind.replace("_", "-") for kind in KINDS]


@pytest.mark.parametrize("kind", SPOKEN)
def test_every_kind_has_a_scaffold_that_follows_the_naming_table(kind: str, tmp_path: Path) -> None:
    made = new_plugin("my-thing", kind, tmp_path / "exprag-my-thing")
    about = tomllib.loads((made / "pyproject.toml").read_text())
    assert about["project"]["name"] == "exprag-my-thing"
    assert about["project"]["entry-points"]["exprag"] == {"my_thing": "exprag_my_thing"}
    assert (made / "tests" / "test_my_thing.py").is_file()
    assert {path.name for path in made.iterdir()} >= {"README.md", "LICENSE", "exprag_my_thing"}
    for path in made.rglob("*"):
        assert path.is_dir() or "$" not in path.read_text(), path
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--quiet", "."], cwd=made, check=True)
    subprocess.run([*ruff, "format", "--check", "--quiet", "."], cwd=made, check=True)


@pytest.mark.parametrize("kind", SPOKEN)
def test_scaffolds_use_the_authoring_surface_alone(kind: str, tmp_path: Path) -> None:
    made = new_plugin("my-thing", kind, tmp_path / "here")
    lines = [line for path in made.rglob("*.py") for line in path.read_text().splitlines()]
    used = {line.split()[1] for line in lines if line.startswith("from exprag")}
    assert {module for module in used if not module.startswith("exprag_")} == {"exprag.authoring", "exprag.testing"}


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("my thing!", "style", "not a name for a plugin.*Try 'my-thing'"),
        ("Étude", "style", "not a name for a plugin"),
        ("", "style", "not a name for a plugin"),
        ("../up", "style", "not a name for a plugin"),
        ("a--b", "style", "not a name for a plugin"),
        ("mine", "styles", "no kind of plugin 'styles'.*Did you mean 'style'"),
        ("text", "environment", "TextEnvironment, which is exprag's own"),
        ("act", "style", "There is a style 'act' already, of exprag"),
        ("envs", "environment", "exprag_envs is installed already"),
    ],
)
def test_what_will_not_do_is_refused_and_nothing_is_written(name: str, kind: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        new_plugin(name, kind, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for taken in ("full", "dangling", "full/mine.txt"):
        with pytest.raises(ConfigError, match="there already"):
            new_plugin("mine", "style", tmp_path / taken)
    with pytest.raises(ConfigError, match="cannot be written"):
        new_plugin("mine", "style", tmp_path / "full" / "mine.txt" / "below")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *args: object, **kwargs: object) -> int:
        if self.name == "LICENSE":
            raise OSError(28, "No space left on device")
        return write(self, *args, **kwargs)  # type: ignore[arg-type]

    write = Path.write_text
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ConfigError, match="No space left"):
        new_plugin("mine", "style", tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("new", "plugin", "exprag-mine", "--kind", "query-strategy")
    assert done.exit_code == 0, done.output
    assert "pip install -e exprag-mine" in done.output
    assert (tmp_path / "exprag-mine" / "exprag_mine" / "strategy.py").is_file()


def test_the_example_in_the_repository_is_what_the_scaffold_writes(tmp_path: Path, root: Path) -> None:
    made, kept = new_plugin("guess", "environment", tmp_path / "made"), root / "examples" / "exprag-guess"

    def texts(folder: Path) -> dict[str, str]:
        # caches, and the licence: the example has that of the repository
        passed_by = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis", "LICENSE"}
        paths = [path for path in folder.rglob("*") if path.is_file() and not passed_by & set(path.parts)]
        return {str(path.relative_to(folder)): path.read_text() for path in paths}

    assert texts(kept) == texts(made), "exprag new plugin guess --kind environment --out examples/exprag-guess"


@pytest.mark.slow
def test_a_scaffold_of_each_kind_installs_works_and_is_listed(tmp_path: Path) -> None:
    """With pip, into a folder of its own: nothing of this environment is changed."""
    folders = [str(new_plugin(f"try-{kind}", kind, tmp_path / f"exprag-try-{kind}")) for kind in SPOKEN]
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(target), *folders], check=True, timeout=300)

    def python(*args: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(target)}
        done = subprocess.run([sys.executable, *args], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    listed = {row["id"]: row for row in json.loads(python("-m", "exprag", "plugins", "--json"))}
    for kind in KINDS:
        row = listed[f"try_{kind}"]
        ours = (kind, f"exprag-try-{kind.replace('_', '-')}", "0.1.0", "ok", generate.ABOUT[kind].description)
        assert (row["kind"], row["distribution"], row["version"], row["status"], row["description"]) == ours
    assert "passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", *folders)

    # all of them in one run, each by its qualified name
    names = {kind: f"exprag-try-{kind.replace('_', '-')}/try_{kind}" for kind in KINDS}
    played = ["-e", names["environment"], "--workers", "0"]
    python("-m", "exprag", "collect", *played, "-o", "experts", "--bank", "bank")
    python("-m", "exprag", "bank", "add-strategy", "bank", "try_query_strategy")
    chosen = [f"--{option}={names[kind]}" for option, kind in RUN_OPTIONS.items()]
    python("-m", "exprag", "run", *played, "--bank", "bank", *chosen, "--limit", "2", "-o", "run")
    episodes = list(read_jsonl(tmp_path / "run" / "episodes.jsonl"))
    assert [episode.error for episode in episodes] == [None, None]
    recalled = episodes[0].steps[0].recalled
    assert [recall.reason.startswith("a success in ") for recall in recalled] == [True, True]


RUN_OPTIONS = {
    "strategy": "query_strategy",
    "selector": "selector",
    "formatter": "formatter",
    "style": "style",
    "model": "model",
}
