"""Chat completions over plain HTTP, without the layers of a client library: they take most of the processor time of a step.

openai's client makes the first call of a model. The address and header of its request are then used here for the calls that
follow, on connections that are kept open; only the body is new. An answer that is JSON with status 200 is read here. Anything
else, a refusal, a broken connection, a page of HTML, is handed to openai's client as what its first attempt gave, so that its
retries, errors and reasons are the same for both.

Only `http:` without a proxy, which is how servers of your own are reached. Measured with a history of ten steps,
LangChain's part included: 0.5 ms of processor time a call instead of 1.8.
"""

from __future__ import annotations

import io
import json
import select
import socket
import time
from collections import deque
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from exprag.errors import ModelError
from exprag_models.limits import UNREACHED, Limits, http
from exprag_models.servers import Servers

IDLE_SECONDS = 4.0
"""After which a connection is not used again; servers close idle ones after five seconds or more."""
PART = 2**18
# What openai's client expects of an HTTP client, by what is raised here.
_NAMES: dict[type[Exception], str] = {TimeoutError: "ReadTimeout", HTTPException: "RemoteProtocolError", OSError: "ReadError"}
_NOT_SENT = {"content-length", "transfer-encoding", "accept-encoding", "cookie", "connection"}


class FirstAnswer:
    """What the first attempt of a call gave, for openai's client to judge: a response, or an error."""

    def __init__(self, response: Any = None, error: Exception | None = None) -> None:
        self._parts = [(response, error)]

    def take(self, request: Any) -> Any:
        """The response, once; None afterwards. Raises the error in its place."""
        response, error = self._parts.pop() if self._parts else (None, None)
        if error is not None:
            raise error
        if response is not None:
            response.request = request
        return response


class _Connection:
    """A connection to a server; reading from it ends with the time of the call, however the bytes come."""

    def __init__(self, address: tuple[str, int], seconds: float) -> None:
        self.socket = socket.create_connection(address, timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.limits = Limits(seconds)
        self.received = False
        self.used = time.monotonic()

    def send(self, data: bytes, limits: Limits) -> None:
        """Begin a call."""
        self.limits, self.received = limits, False
        self.socket.settimeout(limits.seconds)
        self.socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """For `HTTPResponse`, which asks a socket for a file."""
        return io.BufferedReader(_Reader(self), PART)

    def usable(self) -> bool:
        """Whether the server still holds it open, as far as can be seen."""
        if time.monotonic() - self.used > IDLE_SECONDS:
            return False
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            return not poll.poll(0)
        return not select.select([self.socket], [], [], 0)[0]

    def close(self) -> None:
        self.socket.close()


class _Reader(io.RawIOBase):
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        connection = self._connection
        connection.socket.settimeout(max(0.001, connection.limits.end - time.monotonic()))
        try:
            count = connection.socket.recv_into(buffer)
        except TimeoutError:
            if connection.received:
                raise connection.limits.slow() from None
            raise
        connection.received = True
        return count


class DirectCalls:
    """The calls of one model, for any number of threads."""

    def __init__(self, seconds: float, servers: Servers | None) -> None:
        self._seconds, self._servers = seconds, servers
        self._url = ""
        self._headers = b""
        self._idle: dict[str, deque[_Connection]] = {}

    @property
    def ready(self) -> bool:
        """Whether a first call has shown how calls are made."""
        return bool(self._url)

    def learn(self, request: Any, response: Any) -> None:
        """Take address and header of a call that went well."""
        if self._url:
            return
        url = str(request.url)
        plain = url.startswith("http://") and url.endswith("/chat/completions") and not _proxied(url)
        if plain and request.method == "POST" and response.status_code == 200 and not response.history:
            pairs = [(name.decode("latin-1"), value) for name, value in request.headers.raw]
            sent = [(name, value) for name, value in pairs if name.lower() not in _NOT_SENT | {"host"}]
            self._headers = b"".join(name.encode("latin-1") + b": " + value + b"\r\n" for name, value in sent)
            self._url = url

    def post(self, payload: Mapping[str, Any]) -> dict[str, Any] | FirstAnswer | None:
        """The answer of the server as JSON; what openai's client is to judge; None where it is to make the call itself."""
        try:
            body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError):
            return None
        limits = Limits(self._seconds)
        for base, url in self._servers.addresses(self._url) if self._servers else [("", self._url)]:
            try:
                return self._post(url, body, limits)
            except (*UNREACHED, http.TimeoutException, ModelError) as error:
                answer = FirstAnswer(error=error)
                if self._servers is None or not isinstance(error, UNREACHED):
                    break
                self._servers.failed(base)
        return answer

    def _post(self, url: str, body: bytes, limits: Limits) -> dict[str, Any] | FirstAnswer | None:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        connection = self._connect(host, parts.hostname or "", parts.port or 80)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n"
        try:
            connection.send(b"%b%bContent-Length: %d\r\n\r\n%b" % (head.encode("ascii"), self._headers, len(body), body), limits)
            response = HTTPResponse(connection, method="POST")  # type: ignore[arg-type]
            response.begin()
            answer = bytearray()
            while part := response.read1(PART):
                answer += limits.take(part)
            if response.length:
                raise HTTPException(f"the server ended the connection {response.length} bytes before the end of its answer")
        except BaseException as error:
            connection.close()
            for kind, name in _NAMES.items():
                if isinstance(error, kind):
                    raise getattr(http, name)(str(error) or type(error).__name__) from error
            raise
        self._keep(host, connection, response.will_close)
        return _judge(response, bytes(answer))

    def _connect(self, place: str, host: str, port: int) -> _Connection:
        idle = self._idle.setdefault(place, deque())
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread took it
                break
            if connection.usable():
                return connection
            connection.close()
        try:
            return _Connection((host, port), self._seconds)
        except TimeoutError as error:
            raise http.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise http.ConnectError(str(error)) from error

    def _keep(self, place: str, connection: _Connection, closes: bool) -> None:
        idle, connection.used = self._idle[place], time.monotonic()
        if closes:
            connection.close()
        else:
            idle.append(connection)
        while idle and connection.used - idle[0].used > IDLE_SECONDS:
            try:
                idle.popleft().close()
            except IndexError:
                break


def _judge(response: HTTPResponse, body: bytes) -> dict[str, Any] | FirstAnswer | None:
    """The JSON of a good answer, else the response for openai's client; None for one that leads elsewhere."""
    if response.status == 200 and not response.headers.get("Content-Encoding"):
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
    if 300 <= response.status < 400:
        return None
    headers = [(name, value) for name, value in response.headers.items() if name.lower() != "transfer-encoding"]
    return FirstAnswer(http.Response(response.status, headers=headers, content=body))


def _proxied(url: str) -> bool:
    proxies, host = getproxies(), urlsplit(url).hostname or ""
    return ("http" in proxies or "all" in proxies) and not proxy_bypass(host)
