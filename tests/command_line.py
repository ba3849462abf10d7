"""The `exprag` command called in this process, with what it printed and its exit code."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest

from exprag.cli.main import call as call_command
from exprag.cli.main import main


@dataclass(frozen=True)
class Result:
    """What one call did. `output` is stdout and stderr, one after the other."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def exprag(*arguments: Any, env: Mapping[str, str] | None = None) -> Result:
    """Call the command as a user does. The terminal is 200 columns wide unless `env` says otherwise."""

    def leave(tokens: list[str]) -> int:
        with pytest.raises(SystemExit) as end:
            main(tokens)
        assert isinstance(end.value.code, int)
        return end.value.code

    return _call(leave, arguments, env)


def call(*arguments: Any, env: Mapping[str, str] | None = None) -> Result:
    """Call the command, and let its errors be raised instead of shown."""
    return _call(call_command, arguments, env)


def _call(command: Callable[[list[str]], int], arguments: tuple[Any, ...], env: Mapping[str, str] | None) -> Result:
    out, errors = io.StringIO(), io.StringIO()
    environment = {"COLUMNS": "200", **(env or {})}
    with mock.patch.dict("os.environ", environment), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = command([str(argument) for argument in arguments])
    return Result(code, out.getvalue(), errors.getvalue())
