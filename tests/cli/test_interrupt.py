"""Ctrl-C while an episode is played: the message, exit code 130, no traceback, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exprag.files import read_jsonl

HERE = Path(__file__).parent


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_interrupted_run_says_so_and_goes_on(workers: str, tmp_path: Path) -> None:
    playing = tmp_path / "playing"
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "PATIENT_FILE": str(playing)}
    command = [sys.executable, "-m", "exprag", "run", "-e", "patient:Patient", "--limit", "2", "--workers", workers, "-o", "run"]
    child = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while not playing.exists():  # the child says that it plays, and waits in its step
            assert child.poll() is None, child.communicate()
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGINT)  # as a terminal sends it: to the workers too
        Path(f"{playing}.go").touch()
        out, errors = child.communicate(timeout=120)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
    assert child.returncode == 130, out + errors
    assert "Interrupted. Run the same command again to continue." in errors
    assert "Traceback" not in out + errors
    hurried = {**environment, "PATIENT_HURRY": "1"}
    again = subprocess.run(command, cwd=tmp_path, env=hurried, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    episodes = list(read_jsonl(tmp_path / "run" / "episodes.jsonl"))
    assert sorted(episode.task.id for episode in episodes) == ["test/0", "test/1"]


def test_an_interrupt_before_anything_is_played_is_told_too(tmp_path: Path) -> None:
    """While the program still imports what the command needs."""
    (tmp_path / "slow_plugin.py").write_text(
        "import os, time, pathlib\n"
        "pathlib.Path('importing').touch()\n"
        "while not os.path.exists('go'): time.sleep(0.02)\n"
        "time.sleep(1000)\n"
    )
    command = [sys.executable, "-m", "exprag", "run", "-e", "slow_plugin:Nothing", "-o", "run"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    child = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "importing").exists():
            assert child.poll() is None, child.communicate()
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        (tmp_path / "go").touch()
        _, errors = child.communicate(timeout=120)
    finally:
        child.kill()
    assert child.returncode == 130
    assert errors.strip() == "Interrupted. Run the same command again to continue."
