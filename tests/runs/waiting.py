"""For tests that aim a kill: run a script in a process of its own, and wait until it says where it stands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PATIENCE = 120  # seconds that a busy machine may take; nobody waits that long on an idle one


def start(script: str, folder: Path) -> subprocess.Popen[str]:
    """Run a Python script in a folder, with the tests' own modules within reach."""
    file = folder / "script.py"
    file.write_text(script)
    path = os.pathsep.join([str(TESTS), str(TESTS / "runs")])
    env = os.environ | {"PYTHONPATH": path}
    return subprocess.Popen([sys.executable, str(file)], cwd=folder, env=env, stderr=subprocess.PIPE, text=True)


def wait_for(sign: Path, process: subprocess.Popen[str]) -> str:
    """What the sign says, once it is there. Fails where the process ends without it."""
    deadline = time.monotonic() + PATIENCE
    while not sign.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "it never came to where it is to be killed"
        time.sleep(0.01)
    return sign.read_text()


def gone(pid: int) -> bool:
    """Whether a process is gone, after some patience."""
    import psutil

    deadline = time.monotonic() + PATIENCE
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return not psutil.pid_exists(pid)
