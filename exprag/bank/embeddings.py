"""A cache of embeddings by text: making a bank again, or adding a strategy to it, embeds no text twice.

One SQLite file for each encoder, in the folder that EXPRAG_CACHE names (default: ~/.cache/exprag; "off": no cache). An encoder
is identified by its spec and by the vector that it gives a fixed text, so that another model under the same name has its own
file. The file holds a hash of each text and its vector, never the text. It may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from exprag.bank.encoders import Encoder

_BATCH = 256  # texts embedded between two writes: what an interruption costs at most
_LOOK_UP = 500
PROBE_TEXT = "Put a clean mug on the desk, then look at it under the lamp."


def cached(encoder: Encoder) -> Encoder:
    """The encoder with a cache before it, unless EXPRAG_CACHE is "off"."""
    folder = os.environ.get("EXPRAG_CACHE", "") or str(Path.home() / ".cache" / "exprag")
    return encoder if folder == "off" else CachedEncoder(encoder, folder)


class CachedEncoder:
    """An encoder whose key vectors are looked up first. Queries are not cached. Where the cache cannot be read or written, the
    encoder works without it, with a warning."""

    def __init__(self, encoder: Encoder, folder: str | Path) -> None:
        self.encoder = encoder
        self.spec = encoder.spec
        probe = encoder.encode_keys([PROBE_TEXT])[0].astype("<f4")
        self.dimension = len(probe)
        name = hashlib.sha256(self.spec.encode("utf-8", "replace") + np.round(probe, 4).tobytes()).hexdigest()[:24]
        self.path = Path(folder).expanduser() / "embeddings" / f"{name}.sqlite"

    def encode_query(self, text: str) -> np.ndarray:
        return self.encoder.encode_query(text)

    def encode_keys(self, texts: Sequence[str]) -> np.ndarray:
        hashes = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        by_hash = dict(zip(hashes, texts, strict=True))
        vectors_by_hash = self._read(list(by_hash))
        missing = [hash for hash in by_hash if hash not in vectors_by_hash]
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            vectors = self.encoder.encode_keys([by_hash[hash] for hash in batch])
            if vectors.shape != (len(batch), self.dimension) or not np.isfinite(vectors).all():
                return self.encoder.encode_keys(texts)  # a wrong answer is not stored; the bank reports it
            new = dict(zip(batch, vectors.astype(np.float32), strict=True))
            self._write(new)
            vectors_by_hash |= new
        return np.stack([vectors_by_hash[hash] for hash in hashes]) if hashes else np.empty((0, self.dimension), dtype=np.float32)

    def _read(self, hashes: list[bytes]) -> dict[bytes, np.ndarray]:
        vectors: dict[bytes, np.ndarray] = {}

        def look_up(file: sqlite3.Connection) -> None:
            for start in range(0, len(hashes), _LOOK_UP):
                some = hashes[start : start + _LOOK_UP]
                places = ",".join("?" * len(some))
                for hash, vector in file.execute(f"SELECT hash, vector FROM vectors WHERE hash IN ({places})", some):
                    if len(vector) == 4 * self.dimension:
                        vectors[hash] = np.frombuffer(vector, dtype="<f4")

        self._use(look_up)
        return vectors

    def _write(self, vectors: dict[bytes, np.ndarray]) -> None:
        rows = [(hash, vector.astype("<f4").tobytes()) for hash, vector in vectors.items()]
        self._use(lambda file: file.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows))

    def _use(self, work: Callable[[sqlite3.Connection], object]) -> None:
        # opened for each use: a connection may serve one thread only, and embedding takes a thousand times as long
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=30)) as file, file:
                file.execute("CREATE TABLE IF NOT EXISTS vectors (hash BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
                work(file)
        except (sqlite3.Error, OSError) as error:
            warnings.warn(f"The cache of embeddings {self.path} is not used: {error}.", RuntimeWarning, stacklevel=4)
