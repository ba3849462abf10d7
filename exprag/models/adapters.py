"""Several LoRA adapters on one model in memory, chosen from call to call (PEFT)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PREFIX = "base_model.model."


class Adapters:
    """The adapters on a transformers model, by name. `load` and `in_use` exclude each other: to load one changes the model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._peft: Any = None
        self._names: dict[tuple[str, int], str] = {}
        self._current: str | None = None
        self._lock = threading.RLock()

    def load(self, folder: Path, changed: int) -> str:
        """The name of the adapter in a folder, whose files changed last at `changed`; it is loaded at the first call. Raises what
        PEFT raises."""
        from peft import PeftModel

        key = (str(folder.resolve()), changed)
        with self._lock:
            if key not in self._names:
                name = f"adapter-{len(self._names)}"
                if self._peft is None:
                    self._peft = PeftModel.from_pretrained(self._model, str(folder), adapter_name=name)
                else:
                    self._peft.load_adapter(str(folder), adapter_name=name)
                self._peft.eval()
                self._switch(self._current)
                self._names[key] = name
            return self._names[key]

    @contextmanager
    def in_use(self, name: str | None) -> Iterator[None]:
        """Within: the model has this adapter; None: it is the base alone."""
        with self._lock:
            if name != self._current:
                self._switch(name)
                self._current = name
            yield

    def _switch(self, name: str | None) -> None:
        if self._peft is None:
            return
        if name is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(name)


def fits(model: Any, tensors: Mapping[str, Any]) -> bool:
    """Whether an adapter, whose tensors are these by name with their shapes, is plain LoRA on layers that the model has: then it
    can be one of several. Others (trained embeddings, another base) change the model, and need one of their own."""
    for name, tensor in tensors.items():
        path, _, part = name.removeprefix(_PREFIX).rpartition(".lora_")
        try:
            weight = model.get_submodule(path).weight.shape
        except AttributeError:
            return False
        shape = tuple(tensor.get("shape", ()))
        if not name.startswith(_PREFIX) or part not in ("A.weight", "B.weight") or len(shape) != 2 or len(weight) != 2:
            return False
        if shape[1 if part.startswith("A") else 0] != weight[1 if part.startswith("A") else 0]:
            return False
    return bool(tensors)
