"""Engines by the model that they decode for: agents of one process that name the same model share one copy of its weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakValueDictionary

_models: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
_lock = threading.Lock()


def shared(key: Hashable, make: Callable[[], Any]) -> Any:
    """What was made under this key and is still in use, else what `make` gives. One at a time: loading takes memory."""
    with _lock:
        value = _models.get(key)
        if value is None:
            value = _models[key] = make()
        return value
