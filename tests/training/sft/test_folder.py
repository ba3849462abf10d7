"""The folder of a training at its first instant: killed there, on a full disk, or wanted by two processes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from exprag.errors import RunError
from exprag.models.cards import Base, Card
from exprag.training import Recipe
from exprag.training.sft.folder import prepared

CARD = Card(base=Base(name="base"), recipe=Recipe().model_dump(mode="json"))

STOPPED = """
import os, sys, time
from pathlib import Path
import exprag.files
from exprag.models.cards import Base, Card
from exprag.training import Recipe
from exprag.training.sft import folder

out, moment = Path(sys.argv[1]), sys.argv[2]

def stop(*_, **__):
    print("stopped", flush=True)
    time.sleep(600)

if moment == "folder made":
    folder.FileLock = stop
elif moment == "locked":
    folder.half_checkpoints = stop
elif moment == "half written":
    os.fsync = stop
else:
    Path.replace = stop
with folder.prepared(out, Card(base=Base(name="base"), recipe=Recipe().model_dump(mode="json")), "rows"):
    pass
"""


@pytest.mark.parametrize("moment", ["folder made", "locked", "half written", "before the rename"])
def test_a_kill_at_the_first_instant_leaves_a_folder_that_can_be_used(moment: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", STOPPED, str(out), moment], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "stopped\n"
            if moment != "folder made":
                with pytest.raises(RunError, match="Another process trains"), prepared(out, CARD, "rows"):
                    pass
        finally:
            child.kill()
    assert not (out / "training.json").exists()
    if moment in ("half written", "before the rename"):
        assert (out / "training.json.partial").exists()
    with prepared(out, CARD, "rows"):
        assert json.loads((out / "training.json").read_text())["rows"] == "rows"
    with prepared(out, CARD, "other rows"):  # without a checkpoint nothing is lost by other settings
        pass


def test_a_full_disk_at_the_first_file_is_a_run_error_and_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(RunError, match=r"Cannot write .*training\.json"), prepared(tmp_path / "out", CARD, "rows"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with prepared(tmp_path / "out", CARD, "rows"):
        assert (tmp_path / "out" / "training.json").is_file()


def test_folders_that_cannot_be_used_are_one_message_each(tmp_path: Path) -> None:
    def refused(out: Path, message: str) -> None:
        with pytest.raises(RunError, match=message), prepared(out, CARD, "rows"):
            pass

    (tmp_path / "file").touch()
    refused(tmp_path / "file", "is a file")
    refused(tmp_path / "file" / "out", "Cannot write")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    refused(tmp_path / "full", "not empty and holds no training")
    if os.geteuid() != 0:
        (tmp_path / "shut").mkdir(mode=0o500)
        refused(tmp_path / "shut" / "out", "Cannot write")
