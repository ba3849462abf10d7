"""Keys in two dimensions: what is alike lies close together.

Stored vectors, or for texts their TF-IDF, are brought to 50 dimensions (truncated SVD) and to two (t-SNE, van der Maaten and
Hinton, 2008; above 3,000 different keys the first two principal components, which take seconds instead of minutes). Only near
and far mean something in t-SNE; axes never do. Equal keys would hide each other, so they are laid round their place in a spiral.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exprag.errors import PluginError

METHODS = ("auto", "tsne", "pca")
_FEW = 3_000  # the largest number of different keys that t-SNE places
_DIMENSIONS = 50
_SEED = 0


def place(keys: Sequence[Any], method: str = "auto") -> tuple[np.ndarray, str]:
    """Places, float32 [n, 2] in [0, 1], and the method that gave them. The same keys give the same places.

    `keys`: n texts, vectors, or for a strategy of keys by step lists of either. Raises PluginError without scikit-learn.
    """
    features = _features(keys)
    decomposition = _sklearn("decomposition")
    size = min(_DIMENSIONS, features.shape[1] - 1, features.shape[0] - 1)
    if size >= 2:
        svd = decomposition.TruncatedSVD(size, random_state=_SEED)
        with np.errstate(all="ignore"):
            features = svd.fit_transform(features)
    dense = np.asarray(features if isinstance(features, np.ndarray) else features.toarray(), dtype=np.float64)
    different, which = np.unique(dense.round(6), axis=0, return_inverse=True)
    if method == "auto":
        method = "tsne" if len(different) <= _FEW else "pca"
    if len(different) < 5:  # too few to place by likeness: side by side
        method, flat = "pca", np.stack([np.arange(len(different)), np.zeros(len(different))], axis=1)
    elif method == "tsne":
        perplexity = min(30, (len(different) - 1) / 3)
        tsne = _sklearn("manifold").TSNE(random_state=_SEED, init="pca", perplexity=perplexity)
        flat = tsne.fit_transform(different.astype(np.float32))
    else:
        flat = decomposition.PCA(2, random_state=_SEED).fit_transform(different)
    if len(flat) > 1:  # the long way lies, as a screen does
        flat = decomposition.PCA(2, random_state=_SEED).fit_transform(flat)
    low, span = flat.min(axis=0), np.ptp(flat, axis=0).max() or 1.0
    places = ((flat - low) / span)[which.reshape(-1)]
    return (places + _spiral(which.reshape(-1))).astype(np.float32), method


def _features(keys: Sequence[Any]) -> Any:
    """float [n, dimension]: vectors as they are (of keys by step their mean), texts as TF-IDF."""
    if any(isinstance(key, str) or (key and isinstance(key[0], str)) for key in keys):
        texts = [key if isinstance(key, str) else " ".join(key or ()) for key in keys]
        try:
            return _sklearn("feature_extraction.text").TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
        except ValueError:  # no words at all
            return np.zeros((len(keys), 2))
    length = next((np.asarray(key).shape[-1] for key in keys if key is not None and len(key)), 2)
    none = np.zeros(length, dtype=np.float32)
    rows = [none if key is None or not len(key) else np.asarray(key, dtype=np.float32) for key in keys]
    return np.stack([row if row.ndim == 1 else row.mean(axis=0) for row in rows])


def _spiral(which: np.ndarray) -> np.ndarray:
    """Offsets that lay points of one place side by side: Vogel's sunflower (1979)."""
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], which[order])
    rank = np.empty(len(which))
    rank[order] = np.arange(len(which)) - starts
    radius, angle = 0.002 * np.sqrt(rank), rank * np.pi * (3 - np.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _sklearn(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise PluginError(f"A map needs scikit-learn ({error}).", cure="pip install 'exprag[map]'") from error
