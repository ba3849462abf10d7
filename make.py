#!/usr/bin/env python3
"""Set up and run, with nothing but Python: `python3 make.py demo`, `python3 make.py test`, `python3 make.py check`,
`python3 make.py lowest` (the core tests on the lowest versions that pyproject.toml allows).

Needs only the standard library. Makes a virtual environment in .venv (or uses the active one), installs what the job
needs, and runs it. More arguments go to the job: `python3 make.py test -k bank`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
# What each job installs: requirement, then the dependency groups of pyproject.toml.
SETUP = {
    "demo": (".[scienceworld]", []),
    "test": (".[all]", ["dev"]),
    "check": (".[all]", ["dev"]),
}
# The paper's 17 easy task types: the expert paths of some hard ones take the simulator a minute each.
DEMO = ["--types", "easy", "--train-per-type", "3", "--test-per-type", "3"]
# All tests, one worker a core of a small machine, files whole; at the end the slowest, so that what grows is seen.
TESTS = ["-n", "2", "--dist", "loadfile", "--durations", "20"]
# Tests of the core, which run without any extra, and what they need beside it.
CORE = ["graph/test_graph.py", "graph/test_time_travel.py", "retrieval", "prompt/test_prompt.py", "prompt/test_block.py"]
CORE += ["bank/test_bank.py", "bank/test_filters.py", "bank/test_exclusion.py", "environments", "formatters"]
CORE += ["runs/test_runs.py", "test_trajectory.py"]
CORE_TOOLS = ["pytest", "pytest-asyncio", "pytest-socket", "hypothesis", "psutil", "gymnasium", "rapidfuzz"]
CORE_TOOLS += ["langgraph-checkpoint-sqlite"]
# One release of torch for the tests, so that every machine tests the same. Users are not bound to it.
PINS = ["torch==2.13.0"]


def main() -> int:
    job = sys.argv[1] if len(sys.argv) > 1 else ""
    if job not in (*SETUP, "lowest"):
        print(__doc__)
        return 0 if job in ("", "-h", "--help") else 2
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python may well start this script
        print(f"exprag needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: python3.11 make.py {job}")
        return 2
    if job == "lowest":
        return lowest()
    python = environment()
    # As an activated environment does: ALFWorld's engine is built by a script that calls `python`, which Debian does not have.
    os.environ["PATH"] = os.pathsep.join([str(Path(python).parent), os.environ.get("PATH", os.defpath)])
    try:
        install(python, *SETUP[job])
    except subprocess.CalledProcessError:
        print("The installation failed; pip says why above. Mend it and run the same command again.")
        return 1
    more = sys.argv[2:]
    if job == "demo":
        return subprocess.call([python, "-m", "exprag", "demo", *(more or DEMO)], cwd=ROOT)
    if job == "check":
        return check(python)
    return check(python) or subprocess.call([python, "-m", "pytest", *(more or TESTS)], cwd=ROOT)


def environment() -> str:
    """The Python of the active virtual environment, or of .venv (made if missing)."""
    if sys.prefix != sys.base_prefix:
        return sys.executable
    folder = ROOT / ".venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print(f"Making a virtual environment in {folder.name} …", flush=True)
        venv.create(folder, with_pip=True)
    return str(python)


def install(python: str, requirement: str, groups: list[str]) -> None:
    """Install once; again only when pyproject.toml or the job's needs have changed."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + repr((requirement, groups, PINS)).encode()).hexdigest()
    prefix = subprocess.check_output([python, "-c", "import sys; print(sys.prefix)"], text=True).strip()
    stamp = Path(prefix) / f"exprag-{hashlib.sha256(requirement.encode()).hexdigest()[:8]}.stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"Installing {requirement} {' '.join(groups)} …", flush=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if groups:  # dependency groups need pip 25.1, and torch comes first so that nothing else picks another build of it
        subprocess.check_call([*pip, "--upgrade", "pip>=25.1"], cwd=ROOT)
        subprocess.check_call([*pip, *PINS], cwd=ROOT)
    chosen = [argument for group in groups for argument in ("--group", group)]
    subprocess.check_call([*pip, "--editable", requirement, *chosen, *(PINS if groups else [])], cwd=ROOT)
    stamp.write_text(wanted)


def lowest() -> int:
    """Install the lowest versions that are allowed into an environment of its own, made again each time; run the core tests."""
    folder = ROOT / ".venv-lowest"
    venv.create(folder, with_pip=True, clear=True)
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    versions = folder / "versions.txt"
    uv = [python, "-m", "uv", "pip"]
    try:
        subprocess.check_call([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"], cwd=ROOT)
        subprocess.check_call([*uv, "install", "--quiet", "--python", python, "--resolution", "lowest-direct", "."], cwd=ROOT)
        frozen = subprocess.check_output([*uv, "freeze", "--python", python], cwd=ROOT, text=True).splitlines()
        versions.write_text("\n".join(line for line in frozen if not line.startswith("exprag")))
        tools = ["install", "--quiet", "--python", python, "--constraint", str(versions), *CORE_TOOLS]
        subprocess.check_call([*uv, *tools], cwd=ROOT)
    except subprocess.CalledProcessError:
        print("The installation of the lowest versions failed; uv says why above.")
        return 1
    return subprocess.call([python, "-m", "pytest", "-m", "not slow", *(f"tests/{name}" for name in CORE)], cwd=ROOT)


def check(python: str) -> int:
    """Lint and types."""
    return subprocess.call([python, "-m", "ruff", "check", "."], cwd=ROOT) or subprocess.call([python, "-m", "mypy"], cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
