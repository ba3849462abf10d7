"""Several writers, some killed with -9: nothing lost that was reported, nothing half, nothing twice."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from exprag.bank import Bank

WRITER = """
import sys
from exprag import Step, Task, Trajectory
from exprag.bank import Bank
uri, first, last, batch = sys.argv[1], *map(int, sys.argv[2:])
bank = Bank.open(uri)
def episode(n):
    steps = [Step(observation=f"room {n} " * 40, action=f"go {i}") for i in range(20)]
    return Trajectory(id=f"t{n}", task=Task(environment="e", id=str(n), instruction=f"find lamp {n}"), steps=steps, success=True)
print("ready", flush=True)
for start in range(first, last, batch):
    bank.add(episode(n) for n in range(start, min(start + batch, last)))
    print(min(start + batch, last), flush=True)
"""


def start(uri: str, first: int, last: int, batch: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, uri, *map(str, (first, last, batch))]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def check(uri: str, reported: int) -> int:
    bank = Bank.open(uri)
    stored = list(bank)  # every payload is read and validated
    assert len({t.id for t in stored}) == len(stored) == len(bank)
    assert {f"t{n}" for n in range(reported)} <= {t.id for t in stored}
    assert all(len(t.steps) == 20 for t in stored)
    assert len(bank.search("lamp", k=10_000)) == len(stored)
    return len(stored)


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_commits(bank):
    counts = []
    for patience in (0.0, 0.05, 0.3, 0.9):
        writer = start(bank.uri, 0, 100_000, 7)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        reported = int(writer.stdout.readline())
        time.sleep(patience)
        writer.kill()  # SIGKILL
        rest = [int(line) for line in writer.stdout.read().splitlines() if line]
        writer.wait()
        counts.append(check(bank.uri, max([reported, *rest])))
    assert counts == sorted(counts)
    last = start(bank.uri, 0, counts[-1] + 50, 50)  # the lock is free, and the same work goes on
    assert last.wait(timeout=120) == 0
    assert check(bank.uri, counts[-1] + 50) == counts[-1] + 50


@pytest.mark.slow
def test_eight_writers_of_overlapping_ids_three_of_them_killed(bank):
    writers = {first: start(bank.uri, first, first + 160, 8) for first in range(0, 8 * 40, 40)}
    killed = {40: 2, 160: 5, 240: 9}  # in the middle, after so many commits that it reported

    def kill_after(first: int) -> set[int]:
        lines = iter(writers[first].stdout.readline, "")
        assert next(lines) == "ready\n"
        last = [int(next(lines)) for _ in range(killed[first])][-1]
        writers[first].kill()  # SIGKILL
        return set(range(first, last))

    with ThreadPoolExecutor() as pool:  # watched one after another, one that gets the lock often would be done before its turn
        reported = set().union(*pool.map(kill_after, killed))
    for first, writer in writers.items():
        code = writer.wait(timeout=240)
        assert code == (-9 if first in killed else 0)
        reported |= set() if first in killed else set(range(first, first + 160))
    stored = {int(t.id[1:]) for t in Bank.open(bank.uri)}
    assert reported <= stored <= set(range(8 * 40 + 120))
    assert check(bank.uri, 0) == len(stored)
    last = start(bank.uri, 0, 8 * 40 + 120, 64)  # the lock is free, and the same work goes on to its end
    assert last.wait(timeout=120) == 0
    assert check(bank.uri, 8 * 40 + 120) == 8 * 40 + 120
