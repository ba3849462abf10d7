"""llama.cpp's own server on loopback, from the package `xllamacpp`, for GGUF SLOTS CONTEXT THREADS. It prints its address, and
ends with its standard input.

SLOTS prompts are decoded together, each with CONTEXT tokens of cache of its own, which is kept from call to call.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def llama_server(weights: Path, slots: int, context: int, threads: int) -> Iterator[str]:
    """The address of a server in a process of its own, which ends with the block."""
    command = [sys.executable, __file__, str(weights), str(slots), str(context), str(threads)]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            address = server.stdout.readline().strip()
            if not address.startswith("http"):
                raise SystemExit(f"llama.cpp's server did not start: {address!r}")
            yield address
        finally:
            server.stdin.close()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


def main(weights: str, slots: int, context: int, threads: int) -> None:
    import xllamacpp

    params: Any = xllamacpp.CommonParams()
    params.model.path = weights
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_parallel, params.n_ctx, params.ui = slots, slots * context, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    weights, *numbers = sys.argv[1:]
    main(weights, *map(int, numbers))
