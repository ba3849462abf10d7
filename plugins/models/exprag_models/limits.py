"""What one response of a server may take, and the HTTP library that openai's client is made of."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from openai import DefaultHttpxClient

from exprag.errors import ModelError

# openai brings httpx or, in later versions, httpx2: its clients say which.
http: Any = import_module(DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])

MAX_BYTES = 64 * 2**20
"""Bytes of an answer that are taken; a server that sends more is given up."""
UNREACHED = (http.ConnectError, http.ConnectTimeout, http.RemoteProtocolError, http.ReadError, http.WriteError)
"""What is raised where a server is down: another one may answer."""


class Limits:
    """What one response may take: seconds from the request on, and bytes. Raises ModelError beyond either."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.end, self.size = seconds, time.monotonic() + seconds, 0

    def take(self, part: bytes) -> bytes:
        self.size += len(part)
        if time.monotonic() > self.end:
            raise self.slow()
        if self.size > MAX_BYTES:
            raise ModelError(f"The server's answer is longer than {MAX_BYTES // 2**20} MB.", cure="Look at the server.")
        return part

    def slow(self) -> ModelError:
        """The error of an answer that takes too long."""
        message = f"The server was still sending its answer after {self.seconds:g} s."
        return ModelError(message, cure="Allow more: ?timeout=SECONDS.")
