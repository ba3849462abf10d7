"""Encoders: how key and query texts are compared.

    lexical          no vectors: LanceDB's own full-text index over the keys (BM25). Needs no model; the default.
    hf:MODEL         a sentence-transformers model, by id or folder, through langchain-huggingface; compared by dot product
                     of normalised vectors, as in the paper (ExpRAG, section 3). Its vectors are cached by text.

and by profile, a model with the vector index that suits it:

    qwen3            hf:Qwen/Qwen3-Embedding-0.6B, as in the paper; the index goes by size
    bge-m3           hf:BAAI/bge-m3 with HNSW

Your own encoder is any object with `spec`, `encode_keys` and `encode_query`.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np
from cachetools import LRUCache

from exprag.bank.embeddings import PROBE_TEXT, cached
from exprag.bank.schema import Description
from exprag.errors import BankError, PluginError, boundary
from exprag.text import utf8

LEXICAL = "lexical"
PROFILES = {"qwen3": ("hf:Qwen/Qwen3-Embedding-0.6B", "auto"), "bge-m3": ("hf:BAAI/bge-m3", "ivf_hnsw_sq")}
_PROBE_LENGTH = 32
_QUERIES = 64  # vectors of the latest queries held in memory: trajectories and documents are asked by the same text


class Encoder(Protocol):
    """Texts to unit vectors. Keys and queries have methods apart because some models prompt them differently.

    `spec` is what the bank writes down, and what `load_encoder` reads.
    """

    spec: str

    def encode_keys(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, dimension], each row of length one."""

    def encode_query(self, text: str) -> np.ndarray:
        """float32 [dimension], of length one."""


def load_encoder(spec: str) -> Encoder | None:
    """The encoder of a spec or profile; None for `lexical`. Loads the model: seconds."""
    if spec == LEXICAL:
        return None
    kind, _, model = spec_of(spec).partition(":")
    if kind != "hf" or not model:
        profiles = "".join(f", {name!r}" for name in PROFILES)
        raise BankError(f"There is no encoder {spec!r}.", cure=f"Known: 'lexical', 'hf:<model id or folder>'{profiles}.")
    return cached(HuggingFaceEncoder(model))


def spec_of(name: str) -> str:
    """The spec of a profile; a spec is its own."""
    return PROFILES[name][0] if name in PROFILES else name


class HuggingFaceEncoder:
    """A sentence-transformers model with its own prompts for queries and documents, where it declares them."""

    def __init__(self, model: str, **options: Any) -> None:
        """`options` go to `HuggingFaceEmbeddings` (model_kwargs, encode_kwargs, query_encode_kwargs, cache_folder …)."""
        try:
            from langchain_huggingface import HuggingFaceEmbeddings
        except ImportError as error:
            raise PluginError(
                f"The encoder 'hf:{model}' needs an extra that is not installed ({error}).", cure="pip install 'exprag[hf]'"
            ) from error
        what = f"The encoder 'hf:{model}'"
        cure = "Give a sentence-transformers model id that can be downloaded, or a local folder that holds one."
        with (
            boundary(BankError, f"{what} could not be loaded", cure=cure),
            boundary(PluginError, f"{what} lacks a package", cure="pip install 'exprag[hf]'", catch=(ImportError,)),
        ):
            self.model = HuggingFaceEmbeddings(model_name=model, **options)
        self.spec = f"hf:{model}"
        prompts: dict[str, str] = getattr(self.model._client, "prompts", None) or {}
        self.model.encode_kwargs = {**_prompt(prompts, "document", "passage"), **self.model.encode_kwargs}
        self.model.query_encode_kwargs = {**_prompt(prompts, "query"), **self.model.query_encode_kwargs}
        for arguments in (self.model.encode_kwargs, self.model.query_encode_kwargs):
            arguments.setdefault("normalize_embeddings", True)

    def encode_keys(self, texts: Sequence[str]) -> np.ndarray:
        # each different text once: runs share their task descriptions, and equal texts must get equal vectors
        order = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        vectors = np.asarray(self.model.embed_documents([utf8(text) for text in order]), dtype=np.float32)
        return vectors[[order[text] for text in texts]]

    def encode_query(self, text: str) -> np.ndarray:
        return np.asarray(self.model.embed_query(utf8(text)), dtype=np.float32)


def _prompt(prompts: dict[str, str], *names: str) -> dict[str, str]:
    return next(({"prompt_name": name} for name in names if prompts.get(name)), {})


def checked(vectors: np.ndarray, shape: tuple[int, ...], spec: str) -> np.ndarray:
    """The vectors, if they are finite and of the expected shape. Raises BankError otherwise."""
    if vectors.shape != shape:
        raise BankError(f"The encoder {spec!r} gave vectors of shape {vectors.shape}; the bank expects {shape}.")
    if not np.isfinite(vectors).all():
        raise BankError(f"The encoder {spec!r} gave a vector with NaN or infinity in it.")
    return vectors


def describe_encoder(encoder: str | Encoder, index: str) -> tuple[Encoder | None, Description]:
    """The encoder, loaded (None: lexical), and what a new bank records about it. `index` auto is the profile's, if it is one."""
    from exprag import __version__

    if index == "auto" and isinstance(encoder, str) and encoder in PROFILES:
        index = PROFILES[encoder][1]
    loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
    if loaded is None:
        return None, Description(LEXICAL, exprag=__version__, index=index)
    dimension, beginning = probe(loaded)
    return loaded, Description(loaded.spec, dimension, beginning, __version__, index=index)


def probe(encoder: Encoder) -> tuple[int, tuple[float, ...]]:
    """(dimension, the beginning of the vector of a fixed text): what a bank remembers its encoder by."""
    vector = encoder.encode_keys([PROBE_TEXT])[0]
    return len(vector), tuple(round(float(x), 5) for x in vector[:_PROBE_LENGTH])


class BankEncoder:
    """The encoder of one bank: loaded at first need, compared with the one that the bank was made with, and asked once for each
    of the latest queries."""

    def __init__(self, about: Description, uri: str, loaded: Encoder | None = None) -> None:
        self.dimension = about.dimension
        self._about, self._uri = about, uri
        self._source: str | Encoder = about.encoder
        self._loaded = loaded
        self._vectors: LRUCache[str, np.ndarray] = LRUCache(_QUERIES)
        self._lock = Lock()  # of the vectors

    def use(self, encoder: str | Encoder) -> None:
        """Load this one, whose files may lie elsewhere than the bank's spec says. Raises BankError where it is another."""
        spec, own = spec_of(encoder) if isinstance(encoder, str) else encoder.spec, self._about.encoder
        if LEXICAL in (spec, own) and spec != own:
            raise other_encoder(spec, own, self._uri)
        if spec != own or not isinstance(encoder, str):
            self._source = encoder
            self.load()

    def load(self) -> Encoder:
        if self._loaded is None:
            self._loaded = verified(self._source, self._about, self._uri)
        return self._loaded

    def query_vector(self, text: str) -> np.ndarray:
        """float32 [dimension], finite. Raises BankError where the encoder breaks its contract."""
        with self._lock:
            vector = self._vectors.get(text)
        if vector is None:
            encoder = self.load()
            vector = checked(encoder.encode_query(text), (self.dimension,), encoder.spec)
            with self._lock:
                self._vectors[text] = vector
        return vector


def verified(encoder: str | Encoder, about: Description, uri: str) -> Encoder:
    """The encoder, loaded if it is a spec, after comparing it with the one that the bank at `uri` was made with."""
    loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
    if loaded is None:
        raise other_encoder(LEXICAL, about.encoder, uri)
    dimension, beginning = probe(loaded)
    if dimension != about.dimension:
        raise other_encoder(loaded.spec, about.encoder, uri, f"its dimension is {dimension}, not {about.dimension}")
    # half-precision arithmetic on another device stays well above the limit; another model is nowhere near
    a, b = np.asarray(beginning), np.asarray(about.probe)
    if a @ b < 0.99 * np.linalg.norm(a) * np.linalg.norm(b):
        raise other_encoder(loaded.spec, about.encoder, uri, "it gives other vectors for the same text")
    return loaded


def other_encoder(spec: str, own: str, uri: str, how: str = "") -> BankError:
    return BankError(
        f"The bank {uri} was made with the encoder {own!r}; {spec!r} is another{': ' + how if how else ''}.",
        cure="Open it with its own encoder, or make a new bank from its export.",
    )
