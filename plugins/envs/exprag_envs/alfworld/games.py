"""Where ALFWorld's games lie and which task each one is: the layout of `alfworld-download`.

    ROOT/json_2.1.1/<split>/<task>/<trial>/{game.tw-pddl, traj_data.json}

A task folder is named type-object-movable-receptacle-scene: the path alone says which task it is. What the alfworld package
leaves out (`AlfredTWEnv`, which parses every file for it) is left out here: trials with movable receptacles or sliced
objects, folders without a game, and games that do not say that they are solvable.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from exprag.errors import ConfigError, EnvError, closest
from exprag.trajectory import Task
from exprag_envs.alfworld.index import GAME_FILE, GameIndex

SPLITS = ("train", "valid_seen", "valid_train", "valid_unseen")
TASK_TYPES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)
# The halves that ExpRAG's paper trains and tests on (its section on data): named like types, so that `types` accepts them.
DIFFICULTY = {
    "easy": ("pick_and_place_simple", "look_at_obj_in_light", "pick_clean_then_place_in_recep"),
    "hard": ("pick_heat_then_place_in_recep", "pick_cool_then_place_in_recep", "pick_two_obj_and_place"),
}
FOLDER = "json_2.1.1"
TRAJ_FILE = "traj_data.json"
GET_THEM = "Get the games (2 GB): pip install 'exprag[alfworld]' && alfworld-download; or set ALFWORLD_DATA to where they are."

_ID = re.compile(rf"({'|'.join(SPLITS)})/([^/.][^/]*)/([^/.][^/]*)")  # nothing that leads out of the data
_TASK_RULE = re.compile(r'("task": \[\s*\{\s*"rhs": ")([^"]*)"')
_PLAIN_TEXT = re.compile(r"[^{}#\[\]\\\"]*")
# The text grammar with its task line taken out: of release 2.1.2, and of the alfworld 0.4 wheel (for generated games).
_KNOWN_GRAMMARS = frozenset({"063d42f07581dbed", "93119b93cd2872a8"})


def data_root(data: str | Path | None = None) -> Path:
    """The folder that holds `json_2.1.1`: `data`, else ALFWORLD_DATA, else ~/.cache/alfworld. Raises EnvError."""
    root = Path(os.path.expandvars(data or os.environ.get("ALFWORLD_DATA") or "~/.cache/alfworld")).expanduser()
    if root.name == FOLDER:
        root = root.parent
    if not (root / FOLDER).is_dir():
        raise EnvError(f"No ALFWorld games: expected the folder {root / FOLDER}.", cure=GET_THEM)
    return root


def problem() -> str | None:
    """For `exprag plugins`: what is missing, and how to get it."""
    try:
        data_root()
    except EnvError as error:
        return str(error)
    return None


def expand_types(types: Collection[str] | None) -> frozenset[str]:
    """Task types of names that may also be "easy" or "hard". Raises ConfigError for an unknown one."""
    if types is None:
        return frozenset(TASK_TYPES)
    selection: set[str] = set()
    for name in [types] if isinstance(types, str) else types:
        if name not in TASK_TYPES and name not in DIFFICULTY:
            raise ConfigError(f"ALFWorld has no task type {name!r}.", cure=closest(name, [*TASK_TYPES, *DIFFICULTY]))
        selection.update(DIFFICULTY.get(name, (name,)))
    return frozenset(selection)


def list_tasks(root: Path, split: str, types: frozenset[str], cache_dir: Path | None = None) -> Iterator[Task]:
    """Tasks of a split in order of their ids; `cache_dir` for the index. Raises EnvError where the split is missing."""
    folder = root / FOLDER / split
    if not folder.is_dir():
        raise EnvError(f"The ALFWorld split {split!r} is not there: expected the folder {folder}.", cure=GET_THEM)
    index = GameIndex(folder, cache_dir)
    try:
        for group in sorted(os.listdir(folder)):
            if group.split("-", 1)[0] in types and "movable" not in group and "Sliced" not in group:
                for trial in index.solvable(group):
                    yield task_of(split, group, trial)
    finally:
        index.save()


def find_task(root: Path, task_id: str) -> Task:
    """The Task of an id, without listing anything. Raises EnvError naming near ids."""
    parts = _ID.fullmatch(task_id)
    if parts is None or not (root / FOLDER / task_id / GAME_FILE).is_file():
        ids = [str(path.relative_to(root / FOLDER)) for path in (root / FOLDER).glob("*/*/*")]
        raise EnvError(f"ALFWorld has no task {task_id!r}.", cure=closest(task_id, ids))
    return task_of(*parts.groups())


def task_of(split: str, group: str, trial: str) -> Task:
    """The Task of a folder: goal and scene (AI2-THOR's floor plan number) come from the task folder's name."""
    kind, target, _movable, place, scene = (group.split("-") + [""] * 5)[:5]
    goal = {"object": target, "toggle" if kind == "look_at_obj_in_light" else "receptacle": place}
    return Task(
        environment="alfworld",
        id=f"{split}/{group}/{trial}",
        split=split,
        type=kind,
        group=group,
        metadata={**goal, "scene": int(scene) if scene.isdigit() else None, "trial": trial},
    )


def read_game(root: Path, task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parsed `game.tw-pddl` and `traj_data.json` of a task. Raises EnvError naming the file and what is wrong."""
    if _ID.fullmatch(task.id) is None:
        raise EnvError(f"ALFWorld has no task {task.id!r}.", cure="Expected an id of the form split/task/trial.")
    folder = root / FOLDER / task.id
    game, trial = _read_json(folder / GAME_FILE), _read_json(folder / TRAJ_FILE)
    for name, content, keys in (
        (GAME_FILE, game, ("pddl_domain", "grammar", "pddl_problem")),
        (TRAJ_FILE, trial, ("task_type", "pddl_params")),
    ):
        missing = [key for key in keys if key not in content]
        if missing:
            raise EnvError(f"{folder / name} is not an ALFWorld file: it lacks {', '.join(missing)}.", cure=GET_THEM)
    return game, trial


def is_known_grammar(grammar: str) -> bool:
    """Whether a game's text grammar is ALFWorld's own, but for the plain text of its task.

    The alfworld package passes parts of the grammar through `eval`: a game file with another grammar is a program.
    """
    rule = _TASK_RULE.search(grammar)
    if rule is None or not _PLAIN_TEXT.fullmatch(rule[2]):
        return False
    rest = grammar[: rule.start(2)] + grammar[rule.end(2) :]
    return hashlib.sha256(rest.encode()).hexdigest()[:16] in _KNOWN_GRAMMARS


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EnvError(f"The ALFWorld file {path} is not there.", cure=GET_THEM) from error
    except (OSError, ValueError) as error:
        raise EnvError(f"The ALFWorld file {path} cannot be read: {error}.", cure="Unpack or download it again.") from error
    if not isinstance(content, dict):
        raise EnvError(f"The ALFWorld file {path} is not a JSON object.", cure="Unpack or download it again.")
    return content
