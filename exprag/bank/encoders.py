"""Encoders: how key and query texts are compared.

    lexical          no vectors: LanceDB's own full-text index over the keys (BM25). Needs no model; the default.
    hf:MODEL         a sentence-transformers model, by id or folder, through langchain-huggingface; compared by dot product
                     of normalised vectors, as in the paper (ExpRAG, section 3). Its vectors are cached by text.

and by profile, a model with the vector index that suits it:

    qwen3            hf:Qwen/Qwen3-Embedding-0.6B, as in the paper; the index goes by size
    bge-m3           hf:BAAI/bge-m3 with HNSW

An encoder of one's own is any object with `spec`, `encode_keys` and `encode_query`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from exprag.bank.embeddings import PROBE_TEXT, cached
from exprag.bank.schema import Description
from exprag.errors import BankError, PluginError
from exprag.text import utf8

LEXICAL = "lexical"
PROFILES = {"qwen3": ("hf:Qwen/Qwen3-Embedding-0.6B", "auto"), "bge-m3": ("hf:BAAI/bge-m3", "ivf_hnsw_sq")}
_PROBE_LENGTH = 32


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
        try:
            self.model = HuggingFaceEmbeddings(model_name=model, **options)
        except ImportError as error:
            raise PluginError(f"The encoder 'hf:{model}' lacks a package: {error}.", cure="pip install 'exprag[hf]'") from error
        except Exception as error:
            raise BankError(
                f"The encoder 'hf:{model}' could not be loaded: {type(error).__name__}: {str(error).strip()[:300]}",
                cure="Give a sentence-transformers model id that can be downloaded, or a local folder that holds one.",
            ) from error
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


def probe(encoder: Encoder) -> tuple[int, tuple[float, ...]]:
    """(dimension, the beginning of the vector of a fixed text): what a bank remembers its encoder by."""
    vector = encoder.encode_keys([PROBE_TEXT])[0]
    return len(vector), tuple(round(float(x), 5) for x in vector[:_PROBE_LENGTH])


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
