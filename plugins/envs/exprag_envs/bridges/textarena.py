"""TextArena's games for one player: the game's own messages as observations, its seeds as tasks."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from typing import Any

from exprag.contracts.environment import Info, make_fingerprint
from exprag.errors import ConfigError, EnvError, boundary, closest, describe
from exprag.trajectory import Task
from exprag_envs.bridges.chance import GlobalChance
from exprag_envs.bridges.seeds import OVER, SeededEnvironment

RAW = "-raw"  # the variant without wrappers: theirs repeat the whole conversation in each observation


class TextArena(SeededEnvironment):
    """Games of TextArena that one player plays. `id`: a game or a list of them.

    success          an episode is won when the game's final reward reaches this; games give parts of 1 for a part of the task
    max_steps        the usual step limit; default: one and a half of the game's turns (refused moves do not count there), else 50
    tasks_per_split  how many seeds a split has

    An action without brackets is put into them, as TextArena's own wrapper does. A refused move has info["valid"] False; a
    game ends at the second in a row. A game that raises on an action ends there, lost. The games draw from Python's global
    generator, which is kept apart for each environment (see `chance`). No game may download anything.
    """

    name = "textarena"
    action_templates = ("[{move}]",)

    def __init__(
        self,
        id: str | Sequence[str] = "GuessTheNumber-v0",
        success: float = 1.0,
        max_steps: int = 0,
        tasks_per_split: int = 100,
    ) -> None:
        super().__init__(id, tasks_per_split)
        self._success, self._limit = success, max_steps
        self._chance = GlobalChance()
        self._env: Any = None
        self._over, self._reward = False, 0.0

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        task, game, number = self.start_of(options)
        self._env = None
        self._chance = GlobalChance(number)
        with self._chance.playing(), _offline(game), redirect_stdout(sys.stderr):  # some games print how they are made
            environment = _make(game)
            with boundary(EnvError, f"TextArena could not start {game!r}", cure="It must be a game for one player."):
                environment.reset(num_players=1, seed=number)
            messages = environment.get_observation()[1]
        self._env, self._over, self._reward = environment, False, 0.0
        text = _text(messages)
        instruction = _instruction(messages, game)
        return text or instruction, {**self._info(), "task": task.model_copy(update={"instruction": instruction})}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        if self._env is None:
            raise EnvError("TextArena was not reset.")
        if self._over:
            return OVER, 0.0, True, False, {**self._info(), "valid": False}
        move = action if "[" in action or "]" in action else f"[{action}]"
        errors = getattr(self._env.state, "error_count", 0)
        with self._chance.playing(), redirect_stdout(sys.stderr):
            try:
                over, _ = self._env.step(move)
                messages = self._env.get_observation()[1]
                rewards, about = self._env.close() if over else (None, {})
            except Exception as error:  # noqa: BLE001 - games read actions carelessly; what an agent says must not end a run
                self._over = True
                text = f"The game broke off on this action: {describe(error)}"
                return text, 0.0, True, False, {**self._info(), "valid": False}
        self._over = bool(over)
        self._reward = _reward(rewards)
        invalid = getattr(self._env.state, "error_count", 0) > errors or bool(about.get(0, {}).get("invalid_move"))
        text = _text(messages)
        reason = str(about.get(0, {}).get("reason") or "")
        if over and reason not in text:
            text = f"{text}\n{reason}".strip()
        return text, self._reward, self._over, False, {**self._info(), "valid": not invalid}

    def max_steps(self, task: Task) -> int:
        if self._limit:
            return self._limit
        turns = _spec(task.type).kwargs.get("max_turns")
        return max(1, int(turns * 1.5)) if isinstance(turns, int) else 50

    def fingerprint(self) -> str:
        return make_fingerprint(self.name, version("TextArena"), (*self.games, *self.action_templates, str(self._success)))

    def close(self) -> None:
        self._env = None

    def _info(self) -> Info:
        won = self._over and self._reward >= self._success
        return {"score": min(1.0, max(-1.0, self._reward)), "success": won}


def _spec(game: str) -> Any:
    from textarena.envs.registration import ENV_REGISTRY

    if game not in ENV_REGISTRY:
        games = [id for id in ENV_REGISTRY if not id.endswith((RAW, "-train"))]
        raise ConfigError(f"TextArena has no game {game!r}.", cure=closest(game, games))
    return ENV_REGISTRY[game]


def _make(game: str) -> Any:
    import textarena

    _spec(game)
    raw = game if game.endswith(RAW) else f"{game}{RAW}"
    with boundary(EnvError, f"TextArena could not make {game!r}"):
        return textarena.make(raw)


@contextmanager
def _offline(game: str) -> Iterator[None]:
    """Some games download word lists when they start: here they do not, and say what is missing."""
    import nltk

    download, nltk.download = nltk.download, lambda *names, **options: False
    try:
        yield
    except EnvError as error:
        if isinstance(error.__cause__, LookupError) and "nltk" in str(error.__cause__).lower():
            raise EnvError(
                f"TextArena's {game!r} needs word lists of NLTK that are not on this machine.",
                cure="Fetch them once: python -m nltk.downloader words averaged_perceptron_tagger_eng",
            ) from error
        raise
    finally:
        nltk.download = download


def _text(messages: Sequence[tuple[int, str, Any]]) -> str:
    """What the game says, without the echo of the player's own action."""
    parts = [_parts(text, kind) for _, text, kind in messages]
    return "\n".join(text.strip("\n") for text, kind in parts if kind != "PLAYER_ACTION").strip()


def _parts(text: Any, kind: Any) -> tuple[str, str]:
    """A message and the name of its kind. Some games give them in the other order."""
    if not isinstance(text, str) and isinstance(kind, str):
        text, kind = kind, text
    return str(text), str(getattr(kind, "name", ""))


def _reward(rewards: Mapping[int, Any] | None) -> float:
    """The one player's final reward; 0 where the game gave none, or something else than a finite number."""
    reward = (rewards or {}).get(0, 0.0)
    return float(reward) if isinstance(reward, int | float) and math.isfinite(reward) else 0.0


def _instruction(messages: Sequence[tuple[int, str, Any]], game: str) -> str:
    """The first sentences of the game's prompt, up to about 200 characters."""
    prompt = next((text for _, *parts in messages for text, kind in [_parts(*parts)] if kind == "PROMPT"), "")
    instruction = ""
    for sentence in re.split(r"(?<=[.!?])\s+", " ".join(prompt.split())):
        if instruction and len(instruction) + len(sentence) > 200:
            break
        instruction = f"{instruction} {sentence}".strip()
    return instruction[:400] or f"Play {game}."
