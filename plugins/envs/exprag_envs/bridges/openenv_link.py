"""The two ways to an OpenEnv environment: a server's URL, or a class in this process. Both speak in plain dicts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, get_type_hints

from exprag.components import resolve
from exprag.errors import EnvError, boundary

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # OpenEnv imports Gradio, which would report home
REFUSED = "VALIDATION_ERROR"  # OpenEnv's word for an action that does not fit its schema
Reply = tuple[dict[str, Any], float, bool]
"""Observation, reward, and whether the episode is over."""


class RefusedAction(Exception):
    """The action does not fit the environment's schema; nothing was played."""


class Link(Protocol):
    """What the bridge needs of an OpenEnv environment."""

    def action_fields(self) -> dict[str, bool]:
        """The fields of an action but for `metadata`, and whether each is text."""

    def splits(self) -> list[str]:
        """The splits of its task provider; empty where it has none."""

    def tasks(self, split: str) -> list[Any]:
        """What the task provider says of each task of a split; {} for those that it counts but does not list."""

    def reset(self, arguments: Mapping[str, Any]) -> Reply: ...

    def step(self, action: Mapping[str, Any]) -> Reply:
        """Raises RefusedAction where the action does not fit."""

    def close(self) -> None: ...


class ServerLink:
    """A server at a URL, by OpenEnv's generic client. Connects at the first reset, and again after the connection broke."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url, self._timeout = url.rstrip("/"), timeout
        self._client: Any = None

    def action_fields(self) -> dict[str, bool]:
        with self._understood():
            return _fields((self._ask("GET", "/schema") or {}).get("action", {}))

    def splits(self) -> list[str]:
        with self._understood():
            names = self._ask("GET", "/list_environments")
            if not isinstance(names, list) or not names:
                return []
            self._name = str(names[0])
            return [_name_of(split) for split in self._ask("GET", f"/{self._name}/splits") or []]

    def tasks(self, split: str) -> list[Any]:
        with self._understood():
            answer = self._ask("POST", f"/{self._name}/tasks", {"split": split}) or {}
            count = self._ask("POST", f"/{self._name}/num_tasks", {"split": split}) or {}
            return _padded(answer.get("tasks") or [], count.get("num_tasks", 0))

    def reset(self, arguments: Mapping[str, Any]) -> Reply:
        from openenv.core import GenericEnvClient

        if self._client is None:
            with boundary(EnvError, f"No OpenEnv server answers at {self._url}", cure="Start it, or check url=…"):
                client = GenericEnvClient(base_url=self._url, message_timeout_s=self._timeout).sync()
                client.connect()
            self._client = client
        return self._call(lambda: self._client.reset(**arguments))

    def step(self, action: Mapping[str, Any]) -> Reply:
        if self._client is None:
            raise EnvError(f"The connection to {self._url} is closed.", cure="Reset first.")
        try:
            return self._call(lambda: self._client.step(dict(action)))
        except EnvError as error:
            if REFUSED in str(error):
                raise RefusedAction from error
            raise

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with boundary(EnvError, f"The connection to {self._url} could not be closed"):
                client.close()

    def _call(self, call: Any) -> Reply:
        try:
            result = call()
        except Exception as error:
            answered = isinstance(error, RuntimeError) and "Server error" in str(error)
            if not answered:  # the connection broke: the next reset makes another
                client, self._client = self._client, None
                _drop(client)
            what = "refused" if answered else "does not answer any more"
            cure = "" if answered else "The episode is lost; the next one connects again."
            raise EnvError(f"The OpenEnv server at {self._url} {what}: {type(error).__name__}: {error}", cure=cure) from error
        return _observation(result.observation), float(result.reward or 0.0), bool(result.done)

    def _understood(self) -> AbstractContextManager[None]:
        return boundary(EnvError, f"The server at {self._url} does not answer as OpenEnv's do", cure="Check url=…")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """A route's JSON; None where the server does not have it."""
        import httpx

        with boundary(EnvError, f"No OpenEnv server answers at {self._url}", cure="Start it, or check url=…"):
            response = httpx.request(method, self._url + path, json=body, timeout=self._timeout)
        return response.json() if response.status_code == 200 else None


class ProcessLink:
    """A class in this process, by its import path."""

    def __init__(self, path: str, arguments: Mapping[str, Any]) -> None:
        self._path, self._arguments = path, dict(arguments)
        self._environment: Any = None

    def action_fields(self) -> dict[str, bool]:
        return _fields(self._action_class().model_json_schema())

    def splits(self) -> list[str]:
        environment = self._made()
        return [_name_of(split) for split in environment.list_splits()] if hasattr(environment, "list_splits") else []

    def tasks(self, split: str) -> list[Any]:
        return _padded(self._made().list_tasks(split), self._made().num_tasks(split))

    def reset(self, arguments: Mapping[str, Any]) -> Reply:
        return _reply(self._made().reset(**arguments))

    def step(self, action: Mapping[str, Any]) -> Reply:
        from pydantic import ValidationError

        try:
            record = self._action_class().model_validate(dict(action))
        except ValidationError as error:
            raise RefusedAction from error
        return _reply(self._made().step(record))

    def close(self) -> None:
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.close()

    def _made(self) -> Any:
        if self._environment is None:
            with boundary(EnvError, f"{self._path!r} could not be made", cure="It must be an OpenEnv environment's class."):
                self._environment = resolve(self._path)(**self._arguments)
        return self._environment

    def _action_class(self) -> Any:
        with boundary(EnvError, f"{self._path!r} does not say which actions it takes", cure="Annotate `action` of its `step`."):
            return get_type_hints(type(self._made()).step)["action"]


def _padded(tasks: Sequence[Any], count: int) -> list[Any]:
    return [*tasks, *({} for _ in range(count - len(tasks)))]


def _drop(client: Any) -> None:
    try:
        client.close()
    except Exception:  # noqa: BLE001 - its connection is broken already
        return


def _reply(observation: Any) -> Reply:
    record = observation.model_dump(mode="json")
    reward, over = record.pop("reward", None), record.pop("done", False)
    return _observation(record), float(reward or 0.0), bool(over)


def _observation(value: Any) -> dict[str, Any]:
    record = value if isinstance(value, dict) else {"observation": value}
    return {name: item for name, item in record.items() if name != "metadata"}


def _fields(schema: Mapping[str, Any]) -> dict[str, bool]:
    properties = schema.get("properties", {})
    return {name: about.get("type") == "string" for name, about in properties.items() if name != "metadata"}


def _name_of(split: Any) -> str:
    return str(split["name"] if isinstance(split, Mapping) else getattr(split, "name", split))
