"""Makes the games: which kinds there are, and the file of each, generated when it is first needed.

A game is generated in its own process with a fixed hash seed, because TextWorld iterates over sets: otherwise the same game file
would come out in another order from run to run. As a script: `generate.py TYPE SPLIT SEED FILE.z8`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# What each type of game is made with: the library's maker and its settings.
RECIPES: dict[str, dict[str, Any]] = {
    "coin": {"maker": "coin_collector", "level": 105},  # 10 rooms, the coin 5 rooms away, dead ends beside the path
    "treasure": {"maker": "treasure_hunter", "level": 12},  # 10 rooms with doors and containers
    "quest": {"maker": "quest", "rooms": 4, "objects": 8, "length": 5},  # the instruction tells what to do
    # Ingredients, those to be fetched, rooms; whether things must be opened, cooked, cut, and hands are few.
    "cooking-easy": {"maker": "cooking", "recipe": 1, "take": 1, "go": 1, "open": 1, "cook": 1, "cut": 0, "drop": 0},
    "cooking-hard": {"maker": "cooking", "recipe": 3, "take": 3, "go": 6, "open": 1, "cook": 1, "cut": 1, "drop": 1},
}
# Seeds never cross splits. Cooking also keeps foods and preparations apart, by the library's own split of that name.
FIRST_SEED = {"train": 0, "dev": 1_000_000, "test": 2_000_000}
FOODS = {"train": "train", "dev": "valid", "test": "test"}
SECONDS = 300.0


def default_cache_dir() -> Path:
    """`exprag/textworld` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "exprag" / "textworld"


def game_file(cache_dir: Path, version: str, type_: str, split: str, number: int) -> Path:
    """The game's file, generated if it is not in the cache (2-6 s). Raises EnvError with the library's own message."""
    from exprag.errors import EnvError

    recipe = hashlib.sha256(json.dumps(RECIPES[type_], sort_keys=True).encode()).hexdigest()[:8]
    folder = cache_dir / version / f"{type_}-{recipe}"
    game = folder / f"{split}-{number}.z8"
    if game.is_file():
        return game
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as partial:
            new = Path(partial) / game.name
            arguments = [type_, split, str(FIRST_SEED[split] + number), str(new)]
            subprocess.run(
                [sys.executable, "-P", __file__, *arguments],
                env={**os.environ, "PYTHONHASHSEED": "0"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
                check=True,
            )
            # The description first: where a game file exists it is complete, also if another process is making the same game.
            new.with_suffix(".json").replace(game.with_suffix(".json"))
            new.replace(game)
    except subprocess.SubprocessError as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
        raise EnvError(f"TextWorld could not generate {type_}/{split}/{number}: {' '.join(reason)}.") from error
    except OSError as error:
        raise EnvError(
            f"TextWorld's game cache {cache_dir} cannot be used: {error}.", cure="Name another folder with cache_dir=FOLDER."
        ) from error
    return game


def make(type_: str, split: str, seed: int, path: str) -> None:
    """Generate one game and compile it to `path` with its description beside it."""
    import textworld
    from textworld.challenges import coin_collector, cooking, treasure_hunter

    settings = dict(RECIPES[type_])
    maker = settings.pop("maker")
    options = textworld.GameOptions()
    options.seeds, options.path, options.file_ext = seed, path, ".z8"
    textworld.g_rng.set_seed(seed)
    # The objective tells what to fetch, not the way there.
    options.grammar.only_last_action = maker in ("coin_collector", "treasure_hunter")
    if maker == "quest":
        options.nb_rooms, options.nb_objects, options.quest_length = settings["rooms"], settings["objects"], settings["length"]
        game = textworld.generator.make_game(options)
    elif maker == "cooking":
        game = cooking.make({**settings, "recipe_seed": 0, "split": FOODS[split]}, options)
    else:
        game = {"coin_collector": coin_collector, "treasure_hunter": treasure_hunter}[maker].make(settings, options)
    textworld.generator.compile_game(game, options)


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
