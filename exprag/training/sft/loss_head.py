"""The output layer on tokens that are learnt alone.

TRL (1.16) leaves out tokens without a label where Triton is, that is on GPUs, and scores every token elsewhere, so that compilers
see one shape. Of a row with memory nine tokens in ten have no label, and a small model's output layer is a large part of it: on
a CPU it took two fifths of each step (`benchmarks/train_cpu.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SWITCH = "_use_triton"


@contextmanager
def labelled_tokens_only() -> Iterator[None]:
    """Within: TRL scores only tokens with a label on a CPU too. The loss is the same; a TRL without the switch stays as it is."""
    from trl.trainer import utils

    original = getattr(utils, _SWITCH, None)
    if original is None:
        yield
        return

    def compact(device: Any) -> bool:
        return device.type == "cpu" or bool(original(device))

    setattr(utils, _SWITCH, compact)
    try:
        yield
    finally:
        setattr(utils, _SWITCH, original)
