"""Banks on S3-compatible object storage, on a real server on loopback (moto's)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from object_storage import KEY, SECRET, serve, use

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import BankError
from exprag.runs import RunConfig, RunDirectory, run
from exprag.trajectory import Trajectory
from toy import Toy


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a server with an empty bucket "banks"."""
    with serve("banks") as address:
        yield address


@pytest.fixture
def storage(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment as a user sets it."""
    use(endpoint, monkeypatch)


def episodes(split: str = "train", seed: int = 2025) -> list[Trajectory]:
    toy = Toy()
    return [play_expert(toy, task, seed=seed) for task in toy.tasks(split)]


@pytest.mark.usefixtures("storage")
def test_a_bank_on_object_storage_does_what_a_local_one_does(tmp_path: Path) -> None:
    local, remote = Bank.create(tmp_path / "bank"), Bank.create("s3://banks/a/bank", strategies=("task",))
    for bank in (local, remote):
        assert bank.add(episodes()).added == 8
        assert bank.add(episodes()).skipped_existing == 8
    assert remote.uri == "s3://banks/a/bank"
    queries = ("put the mug in the desk", "the apple")
    answers = [[[(hit.trajectory.id, hit.score) for hit in bank.search(q, k=3)] for q in queries] for bank in (local, remote)]
    assert answers[0] == answers[1]
    before = remote.version
    assert remote.delete([episodes()[0].id]) == 1
    assert remote.tag("first", before) == before
    assert len(Bank.open("s3://banks/a/bank")) == 7
    assert len(Bank.open("s3://banks/a/bank", "first")) == 8
    remote.optimize()
    assert list(Bank.open("s3://banks/a/bank")) == list(remote)
    remote.documents()
    with pytest.raises(BankError, match="There is a bank already"):
        Bank.create("s3://banks/a/bank")


@pytest.mark.usefixtures("storage")
def test_a_run_reads_the_version_that_it_began_with(tmp_path: Path) -> None:
    uri = "s3://banks/b/bank"
    bank = Bank.create(uri)
    bank.add(episodes()[:4])
    values: dict[str, Any] = {"environment": "toy:Toy", "bank": uri, "limit": 2, "max_steps": 3, "workers": 1}
    run(RunConfig.make(**values), tmp_path / "r")
    pinned = RunDirectory(tmp_path / "r").config(allow_code=True).bank_version
    assert pinned == bank.version
    bank.add(episodes("test"))
    run(RunConfig.make(**values, shard="1/2", name="r", bank_version=pinned), tmp_path / "shard")
    (again,) = RunDirectory(tmp_path / "shard").episodes()
    (first,) = (e for e in RunDirectory(tmp_path / "r").episodes() if e.task.key == again.task.key)
    assert again.provenance.bank_version == pinned
    assert [step.recalled for step in again.steps] == [step.recalled for step in first.steps]
    assert first.steps[0].recalled
    written = [path.read_text() for folder in ("r", "shard") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert not [text for text in written if SECRET in text or KEY in text]
    assert uri in (tmp_path / "r" / "config.json").read_text()


@pytest.mark.usefixtures("storage")
def test_writers_at_the_same_moment_lose_nothing() -> None:
    """No lock keeps them apart: each commit is a conditional put, which one of them makes again."""
    uri = "s3://banks/c/bank"
    Bank.create(uri)
    faults: list[BaseException] = []

    def write(number: int) -> None:
        try:
            bank = Bank.open(uri)
            for episode in episodes(seed=number)[:3]:
                bank.add([episode])
        except BaseException as error:  # noqa: BLE001 - of another thread
            faults.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert faults == []
    written = {episode.id for number in range(3) for episode in episodes(seed=number)[:3]}
    assert {episode.id for episode in Bank.open(uri)} == written


@pytest.mark.usefixtures("storage")
def test_what_is_wrong_with_a_place_is_said_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BankError, match="s3://banks/none does not exist"):
        Bank.open("s3://banks/none")
    with pytest.raises(BankError, match=r"s3://nobody/bank cannot be \w+: there is no such bucket"):
        Bank.create("s3://nobody/bank")
    Bank.create("s3://banks/d/bank")
    with pytest.raises(BankError, match="not a local folder"):
        run(RunConfig.make(environment="toy:Toy", bank="s3://banks/d/bank", learn="all", workers=0), tmp_path / "r")
    with pytest.raises(BankError, match="holds credentials") as named:
        run(RunConfig.make(environment="toy:Toy", bank="s3://me:hush@banks/d/bank", workers=0), tmp_path / "r")
    assert "hush" not in str(named.value)
    assert not [path for path in (tmp_path / "r").rglob("*") if path.is_file() and "hush" in path.read_text()]
    with refusing() as address, monkeypatch.context() as other:
        other.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(BankError, match="the storage refuses these credentials") as refused:
            Bank.open("s3://banks/a/bank")
    assert KEY not in str(refused.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(BankError, match=r"s3://banks/a/bank cannot be \w+: the storage cannot be reached"):
        Bank.open("s3://banks/a/bank")
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(BankError, match="AWS_ALLOW_HTTP=true"):
        Bank.open("s3://banks/a/bank")


@contextmanager
def refusing() -> Iterator[str]:
    """The address of a server that refuses every key, and quotes it."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<Error><Code>InvalidAccessKeyId</Code><Message>{KEY} {SECRET}</Message></Error>".encode()
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
