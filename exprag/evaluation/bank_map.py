"""A map of a bank: its keys in two dimensions, as one HTML file that needs nothing else.

Trajectories whose keys are alike lie close together: stored vectors, or for a lexical bank the TF-IDF of the keys, brought to
50 dimensions (truncated SVD) and to two (t-SNE, van der Maaten and Hinton, 2008; above 3,000 different keys the first two
principal components, which take seconds instead of minutes). Only near and far mean something in t-SNE; axes never do. Equal
keys would hide each other, so they are laid round their place in a spiral.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exprag import html
from exprag.bank.schema import KEY, VECTOR
from exprag.errors import BankError, ConfigError, PluginError
from exprag.evaluation.page import PACKAGE

if TYPE_CHECKING:
    from exprag.bank import Bank, Filter

METHODS = ("auto", "tsne", "pca")
OUTCOMES = ("success", "failure", "unknown")
_FEW = 3_000  # different keys that t-SNE is asked to place
_DIMENSIONS = 50
_SEED = 0
_COLUMNS = ["id", "environment", "type", "success", "source", "n_steps", "instruction"]


@dataclass(frozen=True)
class BankMap:
    """Points of a bank: `places` float32 [n, 2] in [0, 1], `rows` what is told of each, `method` how they were placed."""

    rows: list[dict[str, Any]]
    places: np.ndarray
    method: str
    strategy: str
    of: int


def map_bank(
    bank: Bank, strategy: str | None = None, where: Filter | None = None, *, method: str = "auto", limit: int = 10_000
) -> BankMap:
    """Place the bank's trajectories; beyond `limit` an even sample of them. The same version gives the same map.

    Raises PluginError without scikit-learn, ConfigError for an unknown method, BankError where there is nothing to place.
    """
    if method not in METHODS:
        raise ConfigError(f"The method of a map is one of {', '.join(METHODS)}; not {method!r}.")
    name = bank.strategies[0] if strategy is None else strategy
    if name not in bank.strategies:
        raise BankError(f"The bank {bank.uri} holds no keys of {name!r}.", cure=f"It has {', '.join(bank.strategies)}.")
    column = (VECTOR if bank.dimension else KEY) + name
    query = bank._latest().search().select([*_COLUMNS, column])
    condition = where.to_where() if where else ""
    rows = (query.where(condition) if condition else query).to_arrow().sort_by("id")
    of = rows.num_rows
    if not of:
        raise BankError(f"The bank {bank.uri} has no trajectory to show.", cure="Add some, or ask for less.")
    if of > limit:
        rows = rows.take(np.linspace(0, of - 1, limit).round().astype(int))
    places, used = _place(_features(rows[column].to_pylist()), method)
    return BankMap(rows.drop_columns([column]).to_pylist(), places, used, name, of)


def write_map(path: str | Path, bank: Bank, bank_map: BankMap) -> Path:
    """Write the page; returns its path. It appears as a whole or not at all. Raises RunError where it cannot be written."""
    return html.write_page(path, render_map(bank, bank_map))


def render_map(bank: Bank, bank_map: BankMap) -> str:
    """The page as text. All text of the bank is data to the script, which writes it as text and never as markup."""
    return html.render(
        PACKAGE,
        "assets/bank_map.html",
        title=f"exprag bank: {Path(bank.uri).name}",
        style=html.inline(PACKAGE, "assets/page.css", "assets/bank_map.css"),
        script=html.inline(PACKAGE, "assets/bank_map.js"),
        data=html.embed(map_data(bank, bank_map)),
    )


def map_data(bank: Bank, bank_map: BankMap) -> dict[str, Any]:
    """What the script reads: columns, with names written once."""
    data: dict[str, Any] = {"x": bank_map.places[:, 0].round(4).tolist(), "y": bank_map.places[:, 1].round(4).tolist()}
    for name in ("type", "environment", "source"):
        data[f"{name}s"], data[name] = _coded([row[name] or "(none)" for row in bank_map.rows])
    words = {True: 0, False: 1, None: 2}
    data["outcomes"], data["outcome"] = list(OUTCOMES), [words[row["success"]] for row in bank_map.rows]
    data |= {name: [row[name] for row in bank_map.rows] for name in ("id", "instruction", "n_steps")}
    about = {"bank": Path(bank.uri).name, "version": bank.version, "encoder": bank.encoder}
    return data | {"about": about | {"strategy": bank_map.strategy, "method": bank_map.method, "of": bank_map.of}}


def _coded(values: Sequence[str]) -> tuple[list[str], list[int]]:
    """Names, the most frequent first, and the number of each value's."""
    names, counts = np.unique(np.asarray(values, dtype=object), return_counts=True)
    order = [str(names[place]) for place in np.lexsort((names, -counts))]
    numbers = {name: number for number, name in enumerate(order)}
    return order, [numbers[value] for value in values]


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


def _place(features: Any, method: str) -> tuple[np.ndarray, str]:
    """float32 [n, 2] in [0, 1], and the method that was used."""
    decomposition = _sklearn("decomposition")
    size = min(_DIMENSIONS, features.shape[1] - 1, features.shape[0] - 1)
    if size >= 2:
        svd = decomposition.TruncatedSVD(size, random_state=_SEED)
        with np.errstate(all="ignore"):
            features = svd.fit_transform(features)
    dense = np.asarray(features if isinstance(features, np.ndarray) else features.toarray(), dtype=np.float64)
    different, which = np.unique(dense.round(6), axis=0, return_inverse=True)
    used = ("tsne" if len(different) <= _FEW else "pca") if method == "auto" else method
    if len(different) < 5:  # too few to place by likeness: side by side
        used, flat = "pca", np.stack([np.arange(len(different)), np.zeros(len(different))], axis=1)
    elif used == "tsne":
        perplexity = min(30, (len(different) - 1) / 3)
        tsne = _sklearn("manifold").TSNE(random_state=_SEED, init="pca", perplexity=perplexity)
        flat = tsne.fit_transform(different.astype(np.float32))
    else:
        flat = decomposition.PCA(2, random_state=_SEED).fit_transform(different)
    if len(flat) > 1:  # the long way lies, as a screen does
        flat = decomposition.PCA(2, random_state=_SEED).fit_transform(flat)
    low, span = flat.min(axis=0), np.ptp(flat, axis=0).max() or 1.0
    places = ((flat - low) / span)[which.reshape(-1)]
    return (places + _spiral(which.reshape(-1))).astype(np.float32), used


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
        raise PluginError(f"A map needs scikit-learn ({error}).", cure="pip install scikit-learn") from error
