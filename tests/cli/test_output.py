"""What reaches the terminal and what reaches stdout: plain text, JSON alone, whole ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import exprag

from exprag.plugins import Component, registry

LOUD = """
import os, sys, exprag
print("hello from a plugin")
os.system("echo hello from its child")

class Loud:
    @exprag.hookimpl
    def register_formatters(self):
        print("hello from a hook")
        return []

plugin = Loud()
"""


def process(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **env}
    command = [sys.executable, "-m", "exprag", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def loud_plugin(folder: Path) -> Path:
    """A distribution on a path of its own, whose module prints at import, from its hook and from a child process."""
    info = folder / "loud-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[exprag]\nloud = loud:plugin\n")
    (folder / "loud.py").write_text(LOUD)
    return folder


@pytest.mark.parametrize("line", ["plugins --json", "validate formatter chat_json --json", "doctor --json"])
def test_what_a_plugin_prints_does_not_spoil_json(line: str, tmp_path: Path) -> None:
    outcome = process(*line.split(), cwd=tmp_path, PYTHONPATH=str(loud_plugin(tmp_path / "site")))
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)
    assert "hello from a plugin" in outcome.stderr
    assert "hello from its child" in outcome.stderr
    assert "hello from a hook" in outcome.stderr


def test_plugins_fit_80_columns_with_whole_ids() -> None:
    outcome = exprag("plugins", env={"COLUMNS": "80"})
    lines = outcome.stdout.splitlines()
    rows = json.loads(exprag("plugins", "--json").stdout)
    for row in rows:
        beginnings = [line for line in lines if line.strip().split("  ")[0] == row["id"]]
        assert beginnings, row["id"]
        assert all(len(line) <= 80 for line in beginnings)
    assert "query strategy" in lines


def test_names_are_no_markup_and_no_escapes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    component = Component("formatter", "evil[red]\x1b]0;x\x07", "json:loads", "mal\x1b[31m", description="a\nb[/bold]\x1b[2J")
    monkeypatch.setattr(registry(), "components", [*registry().components, component])
    text = exprag("plugins").stdout
    assert "evil[red]" in text
    assert "a b[/bold]" in text
    assert "\x1b" not in text
    run = ("run", "-e", "toy:Toy", "--limit", "1", "--max-steps", "1", "--workers", "0", "--name", "\x1b[31mred[/x]")
    outcome = exprag(*run, "-o", tmp_path / "r[bold]\x1b[1m")
    assert outcome.exit_code == 0, outcome.output
    report = exprag("report", tmp_path / "r[bold]\x1b[1m")
    assert report.exit_code == 0, report.output
    error = exprag("report", tmp_path / "\x1b[31mnone")
    for output in (outcome.output, report.output, error.output):
        assert "\x1b" not in output
    assert "r[bold]" in outcome.stdout
    assert "none" in error.stderr


def test_code_that_ends_the_program_is_no_success(tmp_path: Path) -> None:
    """A graph module that exits while it is imported, which stops the run before its first episode."""
    (tmp_path / "leaver.py").write_text("import sys\nsys.exit(0)\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    line = ("run", "-e", "toy:Toy", "--graph", "leaver:graph", "--limit", "1", "--workers", "0", "-o", "run")
    outcome = process(*line, cwd=tmp_path, PYTHONPATH=path)
    assert outcome.returncode == 1
    assert outcome.stderr.strip()
    assert "Traceback" not in outcome.stderr
    assert process("--version", cwd=tmp_path).returncode == 0


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    line = f"{sys.executable} -m exprag plugins | true; echo ${{PIPESTATUS[0]}}"
    outcome = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in outcome.stderr
    assert outcome.stdout.strip() in ("0", "1")


def test_completion_is_installed_for_a_shell(tmp_path: Path) -> None:
    outcome = process("--install-completion", "--shell", "bash", "--output", "exprag.bash", cwd=tmp_path, HOME=str(tmp_path))
    assert outcome.returncode == 0, outcome.stderr
    script = (tmp_path / "exprag.bash").read_text()
    assert "--index-state" in script
    assert "mismatched" in script


def test_help_imports_no_command(tmp_path: Path) -> None:
    """What makes `exprag --help` quick: nothing of a command is imported, nor anything that takes long."""
    code = "import sys; from exprag.cli.main import call; call(['--help']); print(*sys.modules, file=sys.stderr)"
    outcome = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stderr
    modules = set(outcome.stderr.split())
    heavy = {"numpy", "lancedb", "pyarrow", "langchain_core", "langgraph", "torch", "transformers", "scipy", "jinja2"}
    assert not modules & heavy
    assert {name for name in modules if name.startswith("exprag.cli.")} <= {"exprag.cli.main", "exprag.cli.failures"}
