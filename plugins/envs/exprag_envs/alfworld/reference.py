"""The reference engine: the alfworld package's own simulator, with a cache for what it computes again and again.

The package parses its text grammar again for every command it words and translates the PDDL again at every load and reset.
Both are cached here, with the same output. The package also keeps every fact of every game it ever played, because the `mementos`
library behind textworld's logic has one cache that only grows; here each game has its own cache, which goes with the game. The
substitutes stand in the package's modules only while one of our calls runs, under one lock: other users of the package in
this process find it unchanged.

The package is not safe in threads (its parsers are module globals), hence the lock round every call. Threads give right
results but no speed: use processes, or the fast engine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from exprag.errors import EnvError, PluginError
from exprag_envs.alfworld.cache import default_cache_dir
from exprag_envs.alfworld.engine import GameState
from exprag_envs.alfworld.translation import TranslationCache

_LOCK = threading.RLock()
# Each engine needs its own copy of the planner's library, which keeps its game in C globals. Loading a copy after another one
# was unloaded crashed the process, so none is ever unloaded: the copy of a closed engine serves the next engine.
_SPARE_LIBRARIES: list[Any] = []


class ReferenceEngine:
    """`AlfredDemangler(PddlEnv(…))` as an `exprag_envs.alfworld.engine.Engine`.

    `cache_dir`: where translations are kept between processes; None for the user's cache folder.
    Raises PluginError where the alfworld package is not installed.
    """

    def __init__(self, cache_dir: str | Path | None = None) -> None:
        self._cache_dir = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
        self._env: Any = None
        self._pddl: Any = None
        self._translate: Any = None
        self._mementos: dict[Any, Any] = {}
        self._state: Any = None
        self._last = ""
        _require()

    def load(self, game: Mapping[str, Any], key: str) -> None:
        with _LOCK:
            self._open()
            self._mementos = {}
            try:
                with self._remembering():
                    self._env.load(dict(game))
            except Exception as error:  # the package's parsers raise many types for a malformed game
                self._state = None
                raise EnvError(
                    f"ALFWorld cannot load {key}: {type(error).__name__}: {error}.", cure="Unpack or download the game again."
                ) from error
        self._state = None

    def reset(self) -> GameState:
        with _LOCK, self._remembering():
            self._state = self._env.reset()
        self._last = ""
        return self._game_state()

    def step(self, command: str) -> GameState:
        with _LOCK, self._remembering():
            self._state, _, _ = self._env.step(command)
        self._last = command
        return self._game_state()

    def admissible(self) -> list[str]:
        return list(self._state["admissible_commands"])

    def expert(self, goal: Mapping[str, Any], seed: int) -> Iterator[str]:
        from exprag_envs.alfworld.experts import package_expert

        return package_expert(self._expert_view, goal, seed, _LOCK)

    def close(self) -> None:
        if self._pddl is None:
            return
        with _LOCK:
            _SPARE_LIBRARIES.append(self._pddl.downward_lib)
        self._env = self._pddl = self._translate = self._state = None

    def _open(self) -> None:
        if self._env is not None:
            return
        import textworld
        from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
        from textworld.envs.pddl import PddlEnv

        self._translate = TranslationCache(self._cache_dir)
        with self._remembering():
            self._pddl = PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True))
        self._env = AlfredDemangler(self._pddl, shuffle=False)

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """Within: the package parses each text once, translates each problem once, and keeps facts with this game. Only to
        be used under the lock."""
        import fast_downward
        import mementos.core
        from textworld.envs.pddl import logic, textgen

        substitutes = [
            (fast_downward, "load_lib", _library),
            (fast_downward, "pddl2sas", self._translate),
            (mementos.core, "_memento_cache", self._mementos),
            (logic, "_parse_and_convert", _parsed_logic),
            (textgen, "_parse_and_convert", _fresh_symbols),
            (textgen, "Rule", SimpleNamespace(parse_conjunctive_query=_parsed_query)),
        ]
        originals = [getattr(module, name) for module, name, _ in substitutes]
        for module, name, substitute in substitutes:
            setattr(module, name, substitute)
        try:
            yield
        finally:
            for (module, name, _), original in zip(substitutes, originals, strict=True):
                setattr(module, name, original)

    def _game_state(self) -> GameState:
        return GameState(feedback=self._state.feedback, won=bool(self._state["won"]))

    def _expert_view(self) -> tuple[dict[str, Any], str]:
        """What the package's expert looks at: text, facts by readable name, admissible commands; and the last command.

        The package lists facts in the order of a set, which differs between processes; the expert takes the first that
        fits, so they are sorted here.
        """
        with _LOCK, self._remembering():
            facts = sorted(map(self._pddl._get_human_readable_fact, self._state["_facts"]), key=str)
        view = {key: self._state[key] for key in ("feedback", "won", "admissible_commands")}
        return {**view, "facts": facts}, self._last


def _require() -> None:
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("alfworld", "textworld", "fast_downward")):
        raise PluginError("The engine 'alfworld' needs the alfworld package.", cure="pip install 'exprag[alfworld]'")


def _library() -> Any:
    from fast_downward.interface import load_lib

    return _SPARE_LIBRARIES.pop() if _SPARE_LIBRARIES else load_lib()


@lru_cache(maxsize=8)
def _parsed_logic(text: str, rule_name: str) -> tuple[Any, Any]:
    """A whole grammar file: its actions and rules, which `GameLogic` copies into its own tables and never changes."""
    from textworld.envs.pddl import logic

    return logic._ModelConverter().walk(logic._PARSER.parse(text, rule_name=rule_name))


@lru_cache(maxsize=4096)
def _parsed_symbols(text: str) -> Any:
    from textworld.envs.pddl import textgen

    return textgen._Converter().walk(textgen._PARSER.parse(text, rule_name="symbols"))


def _fresh_symbols(text: str, **_options: Any) -> Any:
    """A copy: a derivation writes its context into the symbols."""
    return deepcopy(_parsed_symbols(text))


@lru_cache(maxsize=4096)
def _parsed_query(text: str) -> Any:
    from textworld.logic import Rule

    return Rule.parse_conjunctive_query(text)
