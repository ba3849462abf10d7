"""The world that the graphs in `graphs/` play in, so that each can be run as it is: environment, model and bank.

Named by arguments, else by environment variables, else something that needs no download, no key and no GPU:

    EXPRAG_ENV           environment plugin                       alfworld-generated
    EXPRAG_ENV_OPTIONS   its options, a JSON object               {}
    EXPRAG_MODEL         chat model spec                          case-based
    EXPRAG_BANK          folder of an experience bank             one of the expert's episodes, in the user's cache folder

Nothing is opened, made or played before an episode asks for it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.contracts.environment import TextEnvironment
from exprag.environments.calls import fingerprint
from exprag.environments.expert import play_expert
from exprag.environments.sessions import Sessions
from exprag.errors import ConfigError
from exprag.files import beside
from exprag.plugins import create
from exprag.trajectory import Task

if TYPE_CHECKING:
    from exprag.bank import Bank

EPISODES = 24
STRATEGIES = ("task", "trajectory")

log = logging.getLogger("exprag.graph")


class Starter:
    """`copy` names a bank of its own in the cache folder, for graphs that write into it."""

    def __init__(
        self,
        environment: str = "",
        model: Any = "",
        bank: Any = "",
        environment_options: Mapping[str, Any] | None = None,
        copy: str = "",
    ) -> None:
        self.environment = environment or os.environ.get("EXPRAG_ENV") or "alfworld-generated"
        self.options = dict(environment_options) if environment_options is not None else _options()
        self.model = model or os.environ.get("EXPRAG_MODEL") or "case-based"
        self._bank = bank or os.environ.get("EXPRAG_BANK") or ""
        self._copy = copy

    def make_environment(self) -> TextEnvironment:
        environment: TextEnvironment = create("environment", self.environment, **self.options)
        return environment

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.make_environment)

    def open_bank(self) -> Bank:
        """The bank that is named; else the one in the cache folder, which is made the first time."""
        return self._opened

    @cached_property
    def _opened(self) -> Bank:
        from exprag.bank import Bank

        if self._bank:
            return Bank.open(self._bank) if isinstance(self._bank, str | Path) else self._bank
        from filelock import FileLock

        folder = self._folder()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                self._fill(folder)
        return Bank.open(folder)

    def _folder(self) -> Path:
        """Another environment, other options or another action grammar is another bank."""
        about = json.dumps([fingerprint(self.make_environment()), self.options], sort_keys=True)
        parts = [self.environment.replace("/", "-"), hashlib.sha256(about.encode()).hexdigest()[:8], self._copy]
        name = "-".join(filter(None, parts))
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "exprag" / "starter" / name

    def _fill(self, folder: Path) -> None:
        from exprag.bank import Bank

        with beside(folder) as partial, self.make_environment() as environment:
            bank = Bank.create(partial, strategies=STRATEGIES)
            if environment.experts:
                log.info("the expert of %s plays %d episodes into %s", self.environment, EPISODES, folder)
                tasks = _by_turns(environment.tasks(environment.splits[0]))
                bank.add([play_expert(environment, task, seed=0, run="starter") for task in tasks])
            else:
                log.warning("%s has no expert: the bank starts empty, see `exprag bank import`", self.environment)


def _by_turns(tasks: Iterable[Task]) -> list[Task]:
    """The first tasks, one of each type in turn."""
    ranks: dict[str, int] = {}
    ranked = []
    for place, task in enumerate(tasks):
        rank = ranks[task.type] = ranks.get(task.type, -1) + 1
        ranked.append((rank, place, task))
    return [task for _, _, task in sorted(ranked, key=lambda item: item[:2])[:EPISODES]]


def _options() -> dict[str, Any]:
    text = os.environ.get("EXPRAG_ENV_OPTIONS") or "{}"
    try:
        options = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"EXPRAG_ENV_OPTIONS is not JSON: {error}.") from error
    if not isinstance(options, dict):
        raise ConfigError(f"EXPRAG_ENV_OPTIONS is a JSON object, not {text!r}.")
    return options
