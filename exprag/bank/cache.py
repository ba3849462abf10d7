"""A small thread-safe LRU of parsed trajectories: an agent meets the same few again at every step."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from exprag.trajectory import Trajectory


class Parsed:
    """At most `size` trajectories by id, the least recently used dropped first."""

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._items: OrderedDict[str, Trajectory] = OrderedDict()
        self._lock = Lock()

    def get(self, id: str) -> Trajectory | None:
        with self._lock:
            if id in self._items:
                self._items.move_to_end(id)
            return self._items.get(id)

    def put(self, id: str, trajectory: Trajectory) -> None:
        with self._lock:
            self._items[id] = trajectory
            if len(self._items) > self._size:
                self._items.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()
