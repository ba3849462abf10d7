"""Runs on S3-compatible object storage, on a real server on loopback (moto's)."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import exprag
from object_storage import serve, use
from waiting import PATIENCE, start, wait_for

from exprag.errors import ConfigError, RunError
from exprag.evaluation import report_on
from exprag.runs import RunConfig, RunDirectory, merge, run
from exprag.runs import mirror as mirrors
from exprag.runs.mirror import Mirror, cache_folder
from exprag.runs.object_store import Lost, ObjectStore, url_of
from exprag.runs.readable import readable
from exprag.trajectory import Trajectory

pytest.importorskip("obstore")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a server with an empty bucket "runs"."""
    with serve("runs") as address:
        yield address


@pytest.fixture(autouse=True)
def storage(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment as a user sets it."""
    use(endpoint, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    return f"s3://runs/{request.node.name}/r"


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str = "other") -> None:
    """From here on this is another machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
    monkeypatch.setattr(mirrors.socket, "gethostname", lambda: name)


def config(**values: Any) -> RunConfig:
    return RunConfig.make(**{"environment": "toy:Toy", "workers": 0, "max_steps": 4, **values})


def stored_lines(url: str) -> list[bytes]:
    path = readable(url) / "episodes.jsonl"
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def test_another_machine_completes_the_run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(count: int, total: int, episode: Trajectory | None) -> None:
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config(), url, progress=stop)
    first = stored_lines(url)
    assert len(first) == 3
    elsewhere(monkeypatch, tmp_path)
    summary = run(config(), Path(url))  # as the command line hands it over
    assert summary.episodes == 8
    assert summary.path == cache_folder(url)
    lines = stored_lines(url)
    assert lines[:3] == first
    assert len({Trajectory.from_json(line.decode()).task.key for line in lines}) == len(lines) == 8
    copy = readable(url)
    for name in ("config.json", "versions.json", "log.txt", "episodes.jsonl"):
        assert (copy / name).read_bytes() == (summary.path / name).read_bytes()
    assert RunDirectory(copy).config(allow_code=True).name == "r"
    store = ObjectStore(url)
    stored, _ = store.read()
    assert stored.holder is None
    there = {each["path"] for page in store._obstore.list(store._store) for each in page}
    assert len(there) == len(stored.objects) + 1  # nothing is left lying about
    (summary.path / "episodes.jsonl").unlink()  # somebody has emptied the cache
    assert run(config(), url).episodes == 8
    assert stored_lines(url) == lines
    with pytest.raises(RunError, match="holds another run: max_steps"):
        run(config(max_steps=5), url)


KILLED = """
from exprag.runs import RunConfig, mirror, run
mirror.EVERY_SECONDS = {seconds}
if __name__ == "__main__":
    options = {{"what": "hang", "task": "test/5", "sign": "sign", "once": True}}
    run(RunConfig.make(environment="stuck:Stuck", environment_options=options, max_steps=6, workers=1), "{url}")
"""


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_killed_in_mid_run_it_loses_an_interval_at_most(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://runs/killed-{where}/r"
    process = start(KILLED.format(url=url, seconds=0.1 if where == "elsewhere" else 3600), tmp_path)
    wait_for(tmp_path / "sign", process)  # five are played, the sixth stands in a step
    deadline = time.monotonic() + PATIENCE
    while where == "elsewhere" and len(stored_lines(url)) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    kept = stored_lines(url) if where == "elsewhere" else (cache_folder(url) / "episodes.jsonl").read_bytes().splitlines(True)
    assert len(kept) == 5
    if where == "elsewhere":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))  # on this host it is seen that the holder lives no more
    options = {"what": "hang", "task": "test/5", "sign": str(tmp_path / "sign"), "once": True}
    script = config(environment="stuck:Stuck", environment_options=options | {"sign": "sign"}, max_steps=6)
    monkeypatch.chdir(tmp_path)
    assert run(script, url).episodes == 8
    lines = stored_lines(url)
    assert lines[:5] == kept
    assert len({Trajectory.from_json(line.decode()).task.key for line in lines}) == len(lines) == 8


def test_two_cannot_play_at_once(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Mirror(url, cache_folder(url))
    first.take()
    (first.folder / "log.txt").write_text("one\n")
    first.put()
    assert exprag("watch", url, "--once").exit_code == 1  # not a run yet
    elsewhere(monkeypatch, tmp_path)
    second = Mirror(url, cache_folder(url))
    with pytest.raises(RunError, match=rf"{url} is being played by process \d+ on .*, since 20") as refused:
        second.take()
    assert "300 s after its last sign of life" in refused.value.cure
    monkeypatch.setattr(mirrors, "STALE_SECONDS", -1.0)
    second.take()
    assert (second.folder / "log.txt").read_text() == "one\n"
    (second.folder / "log.txt").write_text("one\ntwo\n")
    second.put()
    (first.folder / "log.txt").write_text("one\nthree\n")
    with pytest.raises(Lost, match="Another process plays"):
        first.put()
    monkeypatch.setattr(mirrors, "EVERY_SECONDS", 0.01)
    first.work()  # ends by itself
    with pytest.raises(Lost):
        first.check()
    assert (readable(url) / "log.txt").read_text() == "one\ntwo\n"
    second.release()
    assert ObjectStore(url).read()[0].holder is None


def test_what_is_stored_is_what_is_there_however_it_changed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are appended, torn and cut, files that are written again or go; in parts of some hundred bytes."""
    monkeypatch.setattr(mirrors, "PART", 200)
    chance = random.Random(7)
    mirror = Mirror(url, cache_folder(url))
    mirror.take()
    episodes = mirror.folder / "episodes.jsonl"
    for number in range(40):
        kind = chance.choice(["append", "append", "append", "rewrite", "config", "torn", "take", "drop"])
        if kind in ("append", "torn"):
            with open(episodes, "a") as out:
                out.writelines(f"line {number} {'x' * chance.randrange(90)}\n" for _ in range(chance.randrange(4)))
                out.write("a torn line" if kind == "torn" else "")
        elif kind == "rewrite" and episodes.exists():
            kept = [line for line in episodes.read_text().splitlines(keepends=True) if chance.random() < 0.7]
            episodes.with_name("other").write_text("".join(kept))
            episodes.with_name("other").replace(episodes)
        elif kind == "config":
            (mirror.folder / "config.json").write_text(f"{number}" * chance.randrange(300))
        elif kind == "drop":
            (mirror.folder / "config.json").unlink(missing_ok=True)
        mirror.put()
        if kind == "torn":
            episodes.write_text(episodes.read_text().removesuffix("a torn line"))
        if kind == "take":  # killed, and started again on this machine
            mirror = Mirror(url, cache_folder(url))
            mirror.take()
        copy = readable(url)
        for name in ("episodes.jsonl", "config.json"):
            there = [folder / name for folder in (mirror.folder, copy) if (folder / name).exists()]
            assert len({path.read_bytes() for path in there}) == bool(there)
            assert len(there) in (0, 2)
    mirror.release()


def test_the_commands_read_urls(url: str, tmp_path: Path) -> None:
    for number in (1, 2):
        options = ["--env", "toy:Toy", "--workers", "0", "--max-steps", "3", "--name", "all", "--shard", f"{number}/2"]
        played = exprag("run", *options, "--out", f"{url}{number}")
        assert played.exit_code == 0, played.output
    assert exprag("run", *options, "--out", f"{url}2", "--dry-run").exit_code == 0
    joined = exprag("merge", f"{url}1", f"{url}2", "--out", str(tmp_path / "joined"))
    assert "8 episodes of 8 tasks, from 2 shards" in joined.output
    assert merge([f"{url}2", f"{url}1"], tmp_path / "again").episodes == 8
    assert [len(each.episodes) for each in report_on([f"{url}1"]).runs] == [4]
    assert exprag("report", f"{url}1").exit_code == 0
    watched = exprag("watch", f"{url}1", "--once")
    assert "4/4 episodes" in watched.output
    assert "finished" in watched.output
    assert exprag("merge", f"{url}1", "--out", f"{url}3").exit_code == 1


def test_episodes_that_are_played_again_are_replaced(url: str) -> None:
    values = {"environment": "stuck:Stuck", "environment_options": {"what": "bye", "task": "test/1"}, "limit": 3}
    assert run(config(**values), url).errors == {"environment": 1}
    before = stored_lines(url)
    assert run(config(**values), url, retry_errors=True).errors == {"environment": 1}
    after = stored_lines(url)
    assert len(after) == 3
    assert [line for line in before if line in after] == after[:2]


def test_what_is_wrong_is_said_in_words(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="keeps its bank in its folder"):
        run(config(learn="all"), url)
    with pytest.raises(RunError, match="there is no such bucket"):
        run(config(), "s3://nobody/r")
    with pytest.raises(ConfigError, match="names a whole bucket"):
        run(config(), "s3://runs")
    with pytest.raises(ConfigError, match="holds credentials") as named:
        run(config(), "s3://me:secret@runs/r")
    assert "secret" not in str(named.value)
    store = ObjectStore(url)
    store._obstore.put(store._store, "run.json", b"something else")
    with pytest.raises(RunError, match="is not of a run directory"):
        run(config(), url)
    monkeypatch.setattr("exprag.runs.object_store._RETRIES", {"max_retries": 0})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(RunError, match="cannot be reached"):
        run(config(), url)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("s3://b/r", "s3://b/r"),
        (Path("s3://b/r/"), "s3://b/r"),
        (Path("gs://b/a/r"), "gs://b/a/r"),
        ("abfss://container@account.example/r", "abfss://container@account.example/r"),
        ("runs/s3", None),
        (Path("C:/runs"), None),
        (Path("/s3:/b"), None),
    ],
)
def test_urls_are_known_from_folders(place: str | Path, expected: str | None) -> None:
    assert url_of(place) == expected
