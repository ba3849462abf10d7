"""Credentials in model specs: never written down. A saved spec names the environment variable that holds them instead.

`openai:m?base_url=http://user:PW@host/v1` is saved as `openai:m?base_url=http://user:$EXPRAG_MODEL_PASSWORD@host/v1`, and
`anthropic:m?api_key=…` as `anthropic:m?api_key=$EXPRAG_MODEL_API_KEY`. `load_model` reads such variables, and whoever writes a
spec may name others that begin with EXPRAG_MODEL_; no other variable is read, since configurations may come from other people.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from exprag.errors import ModelError
from exprag.text import redact, remember_secret

PREFIX = "EXPRAG_MODEL_"
_OPTION = re.compile(r"(?:^|_)(?:key|token|secret|password|passwd|credentials?)$", re.IGNORECASE)
_PASSWORD = re.compile(r"(?<=://)(?P<user>[^/?#@:\s]*:)(?P<password>[^/?#@\s]+)(?=@)")
_VARIABLE = re.compile(r"\$(EXPRAG_MODEL_\w+)")


def public_spec(spec: str) -> str:
    """The spec as it may be saved and shown: each credential is replaced by the environment variable to put it in."""
    return _without_credentials(spec)[0]


def hide_credentials(spec: str) -> str:
    """`public_spec`, with the credentials put into the environment of this process and of the workers that it starts."""
    public, credentials = _without_credentials(spec)
    os.environ.update(credentials)
    return public


def resolve_credentials(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with `$NAME` in place of a credential read from the environment. Raises ModelError for one that is not set.

    All credentials are remembered, so that errors hide them.
    """
    resolved = {}
    for option, value in options.items():
        if isinstance(value, str):
            if _VARIABLE.fullmatch(value):
                value = _variable(value[1:], option)
            elif (hit := _PASSWORD.search(value)) and _VARIABLE.fullmatch(hit["password"]):
                password = _variable(hit["password"][1:], option)
                value = value[: hit.start("password")] + password + value[hit.end("password") :]
            if _OPTION.search(option):
                remember_secret(value)
            if hit := _PASSWORD.search(value):
                remember_secret(hit["password"])
        resolved[option] = value
    return resolved


def _variable(name: str, option: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ModelError(
            f"The model takes {option} from the environment variable {name}, which is not set.",
            cure=f"Set it: saved configurations hold no credentials (export {name}=…).",
        )
    return value


def _without_credentials(spec: str) -> tuple[str, dict[str, str]]:
    """(the spec with variables for its credentials, the credentials by variable)."""
    address, mark, query = spec.partition("?")
    credentials: dict[str, str] = {}
    parts = []
    for part in query.split("&") if mark else ():
        option, _, text = part.partition("=")
        value = unquote_plus(text)
        variable = PREFIX + re.sub(r"\W", "_", option).upper()
        if _VARIABLE.fullmatch(value):
            pass
        elif value and _OPTION.search(option):
            credentials[variable], value = value, f"${variable}"
        elif hit := _PASSWORD.search(value):
            if not _VARIABLE.fullmatch(hit["password"]):
                name = f"{PREFIX}PASSWORD"
                credentials[name] = hit["password"]
                value = f"{value[: hit.start('password')]}${name}{value[hit.end('password') :]}"
        elif redact(value) != value:
            credentials[variable], value = value, f"${variable}"
        parts.append(part if value == unquote_plus(text) else f"{option}={value}")
    return address + mark + "&".join(parts), credentials
