"""TextWorld as a text environment: tasks, one game at a time, and its walkthrough as expert."""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from exprag.contracts.environment import Info, TextEnvironment, make_fingerprint
from exprag.errors import ConfigError, EnvError, closest
from exprag.trajectory import Task
from exprag_envs.textworld.generate import FIRST_SEED, RECIPES, default_cache_dir, game_file

NOT_UNDERSTOOD = "That's not a verb I recognise."
ONE_ACTION = "Only one action at a time is understood."
LONGEST = 200
# The interpreter's own commands: they would write files, or change the game behind the back of the one who keeps score.
_META = frozenset(
    """brief full fullscore long noscript normal notify nouns pronouns q quit record recording replay restart restore save
    script short superbrief transcript undo unscript verbose verify version""".split()  # noqa: SIM905
)
# What joins several moves into one command ("open door then go south") or several things into one action ("take all", "take two
# from fridge"). The library takes apart the answer to one move at most: the texts of the others would be lost, and its account of
# the state, which the admissible actions come from, would be wrong from then on.
_CHAIN = re.compile(r"[.,]|\bthen\b")
_SEVERAL = re.compile(
    r"\b(?:and|but|all|both|each|every|everything|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen"
    r"|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|[2-9]|\d\d+)\b"
)
_PARSER_ERRORS = (
    NOT_UNDERSTOOD,
    "I didn't understand",
    "I only understood you",
    "I beg your pardon",
    "You can't see any such thing",
    "You seem to have said too little",
    "You must supply a noun",
    "What do you want to",
    "Which do you mean",
    "You excepted something",
    "You can't use multiple objects",
)
_STATUS_LINE = re.compile(r"\s*(Would you like to RESTART,.*)?>?\s*-= [^\n]* =-\s*-?\d+/\d+\s*\Z", re.DOTALL)
# The library's parsers are shared by all games of a process and are not made for threads; a step takes milliseconds.
_library = threading.Lock()


class TextWorld(TextEnvironment):
    """Generated games. Options: `games`, how many of each type a split has; `cache_dir`, where generated games are kept."""

    name = "textworld"
    splits = ("train", "dev", "test")
    action_templates = (
        "look",
        "inventory",
        "goal",
        "go {direction}",
        "examine {object}",
        "take {object}",
        "take {object} from {place}",
        "drop {object}",
        "put {object} on {support}",
        "insert {object} into {container}",
        "open {door_or_container}",
        "close {door_or_container}",
        "unlock {door_or_container} with {key}",
        "lock {door_or_container} with {key}",
        "eat {food}",
        "drink {drink}",
        "cook {food} with {appliance}",
        "chop {food} with {object}",
        "dice {food} with {object}",
        "slice {food} with {object}",
        "prepare meal",
    )
    experts = ("walkthrough",)

    def __init__(self, games: int = 100, cache_dir: str | Path | None = None) -> None:
        if not 1 <= games <= 1_000_000:
            raise ConfigError(f"games is the number of games of each type and split, 1 to 1,000,000, not {games}.")
        self._games = games
        self._cache = Path(cache_dir).expanduser().resolve() if cache_dir else default_cache_dir()
        self._game: Any = None

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        """One of each type in turn. The instruction comes with the reset: listing generates nothing."""
        if split not in self.splits:
            raise ConfigError(f"TextWorld has no split {split!r}.", cure=closest(split, list(self.splits)))
        for unknown in sorted(set(types or ()) - set(RECIPES)):
            raise ConfigError(f"TextWorld has no task type {unknown!r}.", cure=closest(unknown, list(RECIPES)))
        names = [type_ for type_ in RECIPES if types is None or type_ in types]
        return (self._task(type_, split, number) for number in range(self._games) for type_ in names)

    def _task(self, type_: str, split: str, number: int) -> Task:
        seed = FIRST_SEED[split] + number
        return Task(environment=self.name, id=f"{type_}/{split}/{number}", split=split, type=type_, metadata={"seed": seed})

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        """Start the task's game, generating it the first time. The seed changes nothing: a game has no chance in it."""
        option = (options or {}).get("task")
        if option is None:
            raise EnvError("TextWorld needs to know its task.", cure='reset(options={"task": …}) with one of tasks(SPLIT).')
        task = self._task_of(self.task(option).id)
        type_, split, number = task.id.split("/")
        path = game_file(self._cache, _version(), type_, split, int(number))
        import textworld

        self.close()
        with _library:
            # jericho warns of each game that it does not know how to score; the library keeps score itself.
            warnings.filterwarnings("ignore", message=".*is not fully supported", module="jericho")
            infos = textworld.EnvInfos(admissible_commands=True, won=True, lost=True, max_score=True, objective=True)
            try:
                self._walkthrough = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["metadata"]["walkthrough"]
                self._game = textworld.start(str(path), infos)
                self._state = self._game.reset()
            except (OSError, ValueError, KeyError) as error:
                raise EnvError(f"TextWorld's game {path} cannot be started: {error}.", cure="Delete the file.") from error
        names = sorted(self._state.game.entity_names, key=len, reverse=True)
        self._names = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b", re.IGNORECASE)
        self._over = False
        self._text = self._clean()
        # The first text is a banner, then the objective, then the room.
        self._text = self._text[max(0, self._text.find(self._state.objective)) :]
        instruction = " ".join(self._state.objective.split())
        return self._text, {**self._info(), "task": task.model_copy(update={"instruction": instruction})}

    def _task_of(self, id: str) -> Task:
        type_, split, number = (*id.split("/"), "", "", "")[:3]
        # An id is exactly what `tasks` makes of its parts.
        if type_ in RECIPES and split in self.splits and number.isascii() and number.isdigit() and int(number) < self._games:
            task = self._task(type_, split, int(number))
            if task.id == id:
                return task
        near = closest(f"{type_}/{split}/0", [f"{t}/{s}/0" for t in RECIPES for s in self.splits])
        raise EnvError(f"TextWorld has no task {id!r}; numbers end below {self._games}.", cure=near)

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        return self._task_of(task) if isinstance(task, str) else super().task(task)

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """One action is one move of one thing: a chain ("look. inventory") or several things ("take all") are not played, and say
        so."""
        if self._game is None:
            raise EnvError("TextWorld was not reset.")
        before, valid = self._state.score, False
        if not self._over:
            command = _command(action)
            if command is None:
                self._text = NOT_UNDERSTOOD
            elif self._is_several(command):
                self._text = ONE_ACTION
            else:
                with _library:
                    self._state, _, self._over = self._game.step(command)
                self._text = self._clean()
                valid = not self._text.startswith(_PARSER_ERRORS)
        reward = (self._state.score - before) / self._state.max_score
        return self._text, reward, self._over, False, {**self._info(), "valid": valid}

    def _is_several(self, command: str) -> bool:
        """Whether the interpreter would play more than one move. A name of the game's own ("type 4 chest") counts as one word."""
        text = self._names.sub("thing", command.lower())
        return sum(bool(part.strip()) for part in _CHAIN.split(text)) > 1 or _SEVERAL.search(text) is not None

    def _clean(self) -> str:
        return re.sub(r"\n{3,}", "\n\n", _STATUS_LINE.sub("", self._state.feedback)).strip()

    def _info(self) -> Info:
        return {"score": self._state.score / self._state.max_score, "success": bool(self._state.won)}

    def admissible_actions(self) -> list[str]:
        return [] if self._game is None or self._over else list(self._state.admissible_commands)

    def expert(self, name: str | None = None) -> Iterator[str]:
        """The generator's own solution."""
        if name not in (None, *self.experts):
            raise EnvError(f"TextWorld has no expert {name!r}.", cure=closest(str(name), list(self.experts)))
        if self._game is None:
            raise EnvError("TextWorld was not reset.")
        return iter(list(self._walkthrough))

    def max_steps(self, task: Task) -> int:
        return 100 if task.type == "cooking-hard" else 50

    def fingerprint(self) -> str:
        return make_fingerprint(self.name, _version(), (*self.action_templates, ONE_ACTION, json.dumps(RECIPES, sort_keys=True)))

    def close(self) -> None:
        if self._game is not None:
            with _library:
                self._game.close()
            self._game = None


def _command(action: str) -> str | None:
    """What goes to the interpreter, or None for what it must not see (its own commands) or could not read."""
    command = " ".join(action.split())
    if not command.isascii() or not command.isprintable() or len(command) > LONGEST:
        return None
    parts = re.split(r"[.,;]|\bthen\b", command.lower())
    return None if any(part.split()[:1] and part.split()[0] in _META for part in parts) else command


def _version() -> str:
    try:
        return package_version("textworld")
    except PackageNotFoundError:
        return "none"
