"""Where a map puts keys. (The map of a bank is tested through its command.)"""

from __future__ import annotations

import sys

import numpy as np
import pytest

from exprag.errors import PluginError
from exprag.evaluation.layout import place


def test_keys_that_are_alike_lie_close_together() -> None:
    pytest.importorskip("sklearn")
    words = ["mug", "desk", "clean", "sink", "water"], ["lamp", "book", "read", "light", "sofa"]
    keys = [" ".join(group[(n + m) % 5] for m in range(3)) for group in words for n in range(5)]
    places, method = place(keys, "pca")
    assert (places.shape, places.dtype, method) == ((10, 2), np.float32, "pca")
    first, second = places[:5], places[5:]
    within = max(np.linalg.norm(group - group.mean(axis=0), axis=1).max() for group in (first, second))
    assert np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)) > within


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    with pytest.raises(PluginError, match=r"pip install 'exprag\[map\]'"):
        place([[0.0, 1.0], [1.0, 0.0]])
