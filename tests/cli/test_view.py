"""`exprag view`: one page of runs, also of one that is still going."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from command_line import exprag
from evaluation.material import arm, write_run
from evaluation.test_page import Page

from exprag.cli.view import view
from exprag.runs.lock import is_held, locked


def test_runs_become_one_page(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, arm(name, [True, False], bank=bank)) for name, bank in (("m", "b"), ("n", None))]
    page = tmp_path / "pages" / "view.html"
    result = exprag("view", *folders, "--out", page)
    assert result.exit_code == 0, result.stderr
    assert "4 episodes to read" in result.stdout
    data = Page(page).data
    assert [record["arm"] for record in data["episodes"]] == [0, 0, 1, 1]
    assert data["live"] is None
    assert data["prompts"]["notes"][0], "the environment is not installed, which is said"


def test_odd_runs_are_shown_as_far_as_they_go(tmp_path: Path) -> None:
    empty, torn = (write_run(tmp_path / name, arm(name, outcomes)) for name, outcomes in (("empty", []), ("torn", [True, False])))
    with open(torn / "episodes.jsonl", "a") as lines:
        lines.write('{"task": {"environment": "toy", "id"')
    result = exprag("view", empty, torn, "--baseline", "torn", "--out", tmp_path / "view.html")
    assert result.exit_code == 0, result.stderr
    assert len(Page(tmp_path / "view.html").data["episodes"]) == 2
    assert exprag("view", tmp_path / "gone").exit_code == 1
    assert exprag("view", torn, "--live", "0.1").exit_code == 1


def test_a_run_that_is_going_is_written_until_it_ends(tmp_path: Path) -> None:
    folder, page = write_run(tmp_path / "m", arm("m", [True])), tmp_path / "view.html"
    with locked(folder):
        assert is_held(folder)
        writer = threading.Thread(target=view, args=([folder],), kwargs={"out": page, "live": 1.0})
        writer.start()
        until = time.monotonic() + 60
        while not page.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        going = Page(page).data["live"]
    writer.join(timeout=60)
    assert going["seconds"] == 1.0
    assert not is_held(folder)
    assert Page(page).data["live"] is None
