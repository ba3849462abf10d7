"""A headless Chromium that tests drive: keys, scripts, and what it asked for. Over its own debugging port, on loopback."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run --no-default-browser-check --hide-scrollbars --remote-debugging-port=0"
)
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "Escape": 27, "/": 191}


class Browser:
    """One tab. `requests` are the addresses that pages asked for, `dialogs` the kinds of windows that scripts opened."""

    def __init__(self, profile: Path, size: str = "1280,900") -> None:
        client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed, to drive a browser with")
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if program is None:
            pytest.skip("no Chromium or Chrome on the PATH to show the page in")
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.errors: list[str] = []
        self._number = 0
        command = [program, *QUIET.split(), f"--window-size={size}", f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace")
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if match := re.search(r"ws://\S+", line):
                break
        else:
            pytest.skip("Chromium could not be started here")
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(client.connect(match[0], max_size=None, proxy=None))
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    _session: str | None = None

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        method, about = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(about["type"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(about["exceptionDetails"])[:500])

    def open(self, page: Path, address: str = "") -> float:
        """Show a page; returns after how many seconds its script said that it is ready."""
        self.call("Page.navigate", url="about:blank")
        start = time.perf_counter()
        self.call("Page.navigate", url=page.as_uri() + address)
        self.wait("document.documentElement?.dataset.ready")
        return time.perf_counter() - start

    def wait(self, condition: str) -> None:
        """Wait until a condition of the page holds."""
        until = time.monotonic() + 60
        while not self.value(f"Boolean({condition})"):
            assert time.monotonic() < until, f"never: {condition}; {self.errors}"
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """What an expression of the page's is, as JSON."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, shift: bool = False) -> None:
        about = {"key": key, "windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper())), "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": key} if len(key) == 1 else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def dark(self) -> None:
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def close(self) -> None:
        self._stack.close()
        self._process.terminate()
        self._process.wait(timeout=30)
        if self._process.stderr is not None:
            self._process.stderr.close()
