"""Chat completions by urllib3, without the layers of openai's client: they take most of the processor time of a step.

openai's client makes the first call of a model. The address and header of its request are then used here for the calls that
follow, on connections that are kept open; only the body is new. An answer that is JSON with status 200 is read here. Anything
else, a refusal, a broken connection, a page of HTML, is handed to openai's client as what its first attempt gave, so that its
retries, errors and reasons are the same for both.

Only `http:` without a proxy, which is how servers of your own are reached. `benchmarks/concurrency.py` measures the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions

from exprag.errors import ModelError
from exprag_models.limits import UNREACHED, Limits, http
from exprag_models.servers import Servers

CONNECTIONS = 256
"""Connections to a server that are kept open, at most."""
PART = 2**18  # bytes
# What openai's client expects of an HTTP client, by what urllib3 raises; the first that fits.
_NAMES: dict[type[Exception], str] = {
    exceptions.ConnectTimeoutError: "ConnectTimeout",
    exceptions.NewConnectionError: "ConnectError",
    exceptions.TimeoutError: "ReadTimeout",
    exceptions.HTTPError: "RemoteProtocolError",
}
_NOT_SENT = {"content-length", "transfer-encoding", "accept-encoding", "cookie", "connection", "host"}


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


class DirectCalls:
    """The calls of one model, for any number of threads."""

    def __init__(self, seconds: float, servers: Servers | None) -> None:
        self._seconds, self._servers = seconds, servers
        self._url = ""
        self._headers: dict[str, str] = {}
        self._pools = urllib3.PoolManager(maxsize=CONNECTIONS, timeout=seconds, retries=False)

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
            pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
            sent = {name: value for name, value in pairs if name.lower() not in _NOT_SENT}
            self._headers = {**sent, "Accept-Encoding": "identity"}
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
        try:
            response = self._pools.request("POST", url, body=body, headers=self._headers, redirect=False, preload_content=False)
            answer = bytearray()
            try:
                while part := response.read1(PART):
                    answer += limits.take(part)
            except BaseException:
                response.close()  # the rest of the answer is not waited for
                raise
            response.release_conn()
        except exceptions.HTTPError as error:
            for kind, name in _NAMES.items():
                if isinstance(error, kind):
                    raise getattr(http, name)(str(error) or type(error).__name__) from error
            raise
        return _judge(response, bytes(answer))


def _judge(response: urllib3.BaseHTTPResponse, body: bytes) -> dict[str, Any] | FirstAnswer | None:
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
