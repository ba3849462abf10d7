"""A run directory on object storage: parts of its files, and one object that says which parts they are and who plays.

    run.json      {session, holder, files: {name: [[object, bytes, checksum], …]}}; each change is a conditional put
    parts/…       bytes of files; written once under a name of their own, deleted when nothing names them any more

`run.json` is the lock and the index in one. Whoever plays puts it again every half minute, on the condition that nobody else has
put it meanwhile: so two that play at once cannot both go on, however slow one of them was, and a reader gets a whole state.

The storage is reached with obstore, which is made of the same library as LanceDB's: what it takes comes from the same environment
variables as for banks (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID …).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

from exprag.errors import ConfigError, ExpragError, PluginError, RunError, describe

RUN = "run.json"
_URL = re.compile(r"(s3|s3a|gs|az|azure|abfs|abfss):/+(.+)")  # a Path has one slash for two
_RETRIES = {"max_retries": 4}


def url_of(place: str | Path) -> str | None:
    """The URL of a place on object storage, also where it has been through `Path`; None for a place in the file system.

    Raises ConfigError, which does not quote it, where it holds a password.
    """
    match = _URL.fullmatch(str(place))
    if match is None:
        return None
    scheme, rest = match[1], match[2].rstrip("/")
    if "@" in rest.partition("/")[0] and scheme not in ("abfs", "abfss"):
        raise ConfigError("The URL of the run holds credentials.", cure="Leave them out: the environment has them.")
    if "/" not in rest:
        raise ConfigError(f"{scheme}://{rest} names a whole bucket.", cure=f"Name a folder in it: {scheme}://{rest}/RUN.")
    return f"{scheme}://{rest}"


@dataclass(frozen=True)
class Stored:
    """What `run.json` says.

    session   of the process that played last; its folder is the newest where the holder is gone
    holder    {"pid", "host", "since"} of who plays; None: nobody
    files     the parts of each file in their order: [name of the object, bytes, CRC-32]
    """

    session: str = ""
    holder: dict[str, Any] | None = None
    files: dict[str, list[list[Any]]] = field(default_factory=dict)

    @property
    def objects(self) -> set[str]:
        return {part[0] for parts in self.files.values() for part in parts}


class Lost(RunError):
    """Somebody else has put `run.json` meanwhile."""


class ObjectStore:
    """The objects of one run directory."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._obstore = import_module("obstore")
            stores = import_module("obstore.store")
        except ImportError as error:
            cure = "pip install 'exprag[objects]'"
            raise PluginError("A run directory on object storage needs the package obstore.", cure=cure) from error
        self._mode: Any = "create"
        with self._reaching("be opened"):
            self._store = stores.from_url(url, retry_config=_RETRIES)

    def read(self) -> tuple[Stored, float]:
        """What is stored now, and the seconds since it was put; of a place where nothing is, an empty state."""
        try:
            with self._reaching("be read", missing_ok=True):
                answer = self._obstore.get(self._store, RUN)
                text, about = bytes(answer.bytes()), answer.meta
        except FileNotFoundError:
            self._mode = "create"
            return Stored(), float("inf")
        try:
            stored = Stored(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise RunError(f"{self.url}/{RUN} is not of a run directory.", cure="Choose another --out.") from error
        self._mode = _as_it_is(about)
        return stored, (datetime.now(UTC) - about["last_modified"]).total_seconds()

    def put(self, stored: Stored) -> None:
        """Put the state, where it is as it was last read or put here. Raises Lost where it is not."""
        data, exceptions = json.dumps(asdict(stored), separators=(",", ":")).encode("ascii"), self._obstore.exceptions
        try:
            with self._reaching("be written", also=(exceptions.PreconditionError, exceptions.AlreadyExistsError)):
                about = self._obstore.put(self._store, RUN, data, mode=self._mode, use_multipart=False)
        except (exceptions.PreconditionError, exceptions.AlreadyExistsError):
            # a put that was repeated after its answer was lost finds itself there
            mode = self._mode
            if self.read()[0] != stored:
                self._mode = mode
                raise Lost(f"Another process plays in {self.url} now.", cure="Let one process play in a run directory.") from None
            return
        self._mode = _as_it_is(about)

    def upload(self, data: bytes) -> list[Any]:
        """Write a part; gives [its name, bytes, CRC-32]."""
        name = f"parts/{uuid.uuid4().hex}"
        with self._reaching("be written"):
            self._obstore.put(self._store, name, data)
        return [name, len(data), crc32(data)]

    def download(self, part: list[Any]) -> bytes:
        """The bytes of a part. Raises FileNotFoundError where it has been replaced meanwhile."""
        with self._reaching("be read", missing_ok=True):
            return bytes(self._obstore.get(self._store, part[0]).bytes())

    def delete(self, names: list[str]) -> None:
        """Delete parts that nothing names any more."""
        if names:
            with self._reaching("be written", missing_ok=True), suppress(FileNotFoundError):
                self._obstore.delete(self._store, names)

    def sweep(self, stored: Stored) -> None:
        """Delete the parts that this state does not name: replaced ones, and those of a process that was killed."""
        with self._reaching("be written"):
            names = [f"parts/{Path(each['path']).name}" for page in self._obstore.list(self._store, "parts") for each in page]
        self.delete([name for name in names if name not in stored.objects])

    @contextmanager
    def _reaching(self, what: str, *, missing_ok: bool = False, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """What the library raises becomes a RunError that says why in words; `also` passes, as a missing object does."""
        try:
            yield
        except ExpragError:
            raise
        except also:
            raise
        except FileNotFoundError as error:
            if missing_ok and "NoSuchBucket" not in str(error):
                raise
            cure = "Make the bucket, or name another."
            raise RunError(f"{self.url} cannot {what}: there is no such bucket.", cure=cure) from error
        except Exception as error:
            from exprag.bank.object_storage import reason_and_cure

            reason, cure = reason_and_cure(str(error))
            raise RunError(f"{self.url} cannot {what}: {f'{reason}.' if reason else describe(error)}", cure=cure) from error


def _as_it_is(about: Mapping[str, Any]) -> dict[str, str]:
    """The condition that an object is still the one that this says: S3 knows it by tag, others by version too."""
    return {name: about[name] for name in ("e_tag", "version") if about.get(name) is not None}
