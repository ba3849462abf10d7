"""Banks and processes: a forked child, a disk that is full or read-only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exprag.bank import Bank
from exprag.bank.documents import Documents
from exprag.bank.store import LOCK
from exprag.errors import BankError

posix = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX calls")

FORK = """
import multiprocessing, sys
from exprag.bank import Bank
from exprag.errors import BankError
bank = Bank.open(sys.argv[1])
print(len(bank.search("mug")), flush=True)

def work(uri):
    uses = {
        "search": lambda: bank.search("mug"),
        "count": lambda: len(bank),
        "version": lambda: bank.version,
        "read": lambda: list(bank),
        "add": lambda: bank.add([]),
        "documents": lambda: bank.documents().search("mug"),
        "open": lambda: Bank.open(uri),
        "create": lambda: Bank.create(uri + "-other"),
    }
    for name, use in uses.items():
        try:
            use()
            print(name, "worked", flush=True)
        except BankError as error:
            print(name, "forked" in str(error) and "spawn" in str(error), flush=True)

child = multiprocessing.get_context("fork").Process(target=work, args=(sys.argv[1],))
child.start()
child.join(60)
print(child.exitcode, len(bank.search("mug")), flush=True)
child.kill()
"""


@posix
def test_a_forked_child_is_told_to_spawn(bank, episode):
    bank.add([episode()])
    script = [sys.executable, "-W", "ignore", "-c", FORK, bank.uri]
    result = subprocess.run(script, capture_output=True, text=True, timeout=120)
    uses = ("search", "count", "version", "read", "add", "documents", "open", "create")
    assert result.stdout.splitlines() == ["1", *(f"{use} True" for use in uses), "0 1"], result.stderr


@posix
def test_a_child_forked_before_lancedb_was_loaded_may_use_a_bank(bank, episode):
    bank.add([episode()])
    code = (
        "import os, sys\nimport exprag.bank.store\nassert 'lancedb' not in sys.modules\n"
        "if os.fork() == 0:\n"
        "    from exprag.bank import Bank\n    print(len(Bank.open(sys.argv[1])), flush=True)\n    os._exit(0)\n"
        "os.wait()\n"
    )
    result = subprocess.run([sys.executable, "-c", code, bank.uri], capture_output=True, text=True, timeout=120)
    assert result.stdout == "1\n", result.stderr


FULL_DISK = """
import resource, signal, sys
from langchain_core.documents import Document
from exprag import Step, Task, Trajectory
from exprag.bank import Bank
from exprag.bank.files import copy_bank
from exprag.errors import BankError
import lancedb
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
uri, work, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
task = Task(environment="house", id="1", instruction="wash a mug")
bank = Bank.open(uri)
works = {
    "create": lambda: Bank.create(uri + "-new"),
    "copy": lambda: copy_bank(uri, uri + "-new"),
    "add": lambda: bank.add([Trajectory(task=task, steps=[Step(observation="o" * 9000, action="a")], success=True)]),
    "trust": lambda: bank.quarantine(["one"]),
    "delete": lambda: bank.delete(["one"]),
    "strategy": lambda: bank.add_strategy("trajectory"),
    "tag": lambda: bank.tag("name"),
    "optimize": lambda: bank.optimize(),
    "documents": lambda: bank.documents().add([Document("d" * 9000)]),
}
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    works[work]()
    print("went in", flush=True)
except BankError as error:
    print(type(error).__name__, bool(error.__cause__), error.cure, flush=True)
"""
SLOW = ("copy", "trust", "delete", "strategy", "tag", "optimize", "documents")
WORKS = ("create", "add", *(pytest.param(work, marks=pytest.mark.slow) for work in SLOW))


@posix
@pytest.mark.parametrize("work", WORKS)
def test_a_full_disk_is_a_bank_error_with_its_cure_and_leaves_nothing(bank, episode, work):
    episodes = [episode(number, id=name) for number, name in enumerate(("one", "two"), 2)]
    bank.add(episodes)
    names = {child.name for child in Path(bank.uri).parent.iterdir()}
    for limit in (0,) if work == "tag" else (0, 300):  # bytes that a file may have
        script = [sys.executable, "-c", FULL_DISK, bank.uri, work, str(limit)]
        result = subprocess.run(script, capture_output=True, text=True, timeout=120)
        assert "Traceback" not in result.stderr
        kind, _, rest = result.stdout.strip().partition(" ")
        assert kind == "BankError", (work, limit, result.stdout, result.stderr)
        assert rest.startswith("True Free space"), (work, limit, result.stdout)
        assert {child.name for child in Path(bank.uri).parent.iterdir()} - {f"{Path(bank.uri).name}-new"} == names
        new = Path(f"{bank.uri}-new")
        assert not new.exists() or {child.name for child in new.iterdir()} <= {LOCK}
    again = Bank.open(bank.uri)
    assert sorted(t.id for t in again) == ["one", "two"]
    assert len(again.search("mug")) == 2
    assert again.add([episode(9)]).added == 1
    assert not list(Path(bank.uri).glob("*.upkeep"))
    assert len(Bank.create(f"{bank.uri}-new")) == 0


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_place_is_a_bank_error_with_its_cure(bank, episode, tmp_path):
    bank.add([episode()])
    folders = [path for path in (tmp_path, *tmp_path.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        for write in (
            lambda: Bank.create(tmp_path / "new"),
            lambda: Bank.open(bank.uri).add([episode(2)]),
            lambda: Documents(Bank.open(bank.uri)).delete(["x"]) or Bank.open(bank.uri).quarantine([episode().id]),
        ):
            with pytest.raises(BankError, match="read-only"):
                write()
        assert len(Bank.open(bank.uri).search("mug")) == 1
    finally:
        for folder in folders:
            folder.chmod(0o755)
