"""What a Gymnasium environment shows and says, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# The actions of Gymnasium's own text games by number, and what they are about: their spaces say only how many there are.
KNOWN: dict[str, tuple[tuple[str, ...], str]] = {
    "FrozenLake-v1": (
        ("left", "down", "right", "up"),
        "Cross the frozen lake from S to G without falling into a hole H. Your place is in brackets. The ice is slippery.",
    ),
    "FrozenLake8x8-v1": (
        ("left", "down", "right", "up"),
        "Cross the frozen lake from S to G without falling into a hole H. Your place is in brackets. The ice is slippery.",
    ),
    "CliffWalking-v1": (
        ("up", "right", "down", "left"),
        "Walk from x to T in few steps without stepping on the cliff C, which takes you back to the start.",
    ),
    "Taxi-v4": (
        ("south", "north", "east", "west", "pickup", "dropoff"),
        "Drive the taxi (in brackets) to the passenger (blue), pick up, drive to the destination (magenta) and drop off.",
    ),
    "Blackjack-v1": (
        ("stick", "hit"),
        "Come as close to 21 as you can without going over. You see the sum of your cards, the dealer's card, and whether you "
        "hold an ace that counts 11.",
    ),
}
ACTION_LISTS = ("admissible_actions", "admissible_commands", "available_actions", "valid_actions")
_COLOURED = re.compile(r"\x1b\[([\d;]+)m(.*?)\x1b\[0?m", re.DOTALL)
_ESCAPE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


def wants_drawing(environment: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether what it observes is numbers, but it can draw itself as text."""
    from gymnasium.spaces import Discrete

    modes = environment.metadata.get("render_modes") or ()
    return "ansi" in modes and "render_mode" not in kwargs and isinstance(environment.observation_space, Discrete)


def text_of(observation: Any, environment: Any) -> str:
    """The observation as text: text as it is, a drawing where the environment makes one, the texts of a dict, or plain values."""
    if isinstance(observation, str):
        return observation
    if getattr(environment, "render_mode", None) == "ansi":
        drawing = environment.render()
        return uncoloured("".join(drawing) if isinstance(drawing, list) else str(drawing)).strip("\n")
    if isinstance(observation, Mapping):
        texts = {name: value for name, value in observation.items() if isinstance(value, str)} or observation
        return "\n".join(f"{name}: {plain(value)}" for name, value in texts.items())
    return plain(observation)


def plain(value: Any) -> str:
    """A value without the names of NumPy's types."""
    if isinstance(value, tuple | list):
        return ", ".join(map(plain, value))
    return str(value.item() if getattr(value, "shape", None) == () else value)


def uncoloured(text: str) -> str:
    """Terminal colours in words: a place on a coloured ground is in brackets, a coloured letter is followed by its colour."""

    def words(piece: re.Match[str]) -> str:
        codes = [int(code) for code in piece[1].split(";") if code]
        if any(40 <= code <= 47 for code in codes):
            return f"[{piece[2]}]"
        colour = next((_COLOURS[code - 30] for code in codes if 30 <= code <= 37), "")
        return f"{piece[2]}({colour})" if colour else piece[2]

    return _ESCAPE.sub("", _COLOURED.sub(words, text))


def instruction_in(observation: Any, info: Mapping[str, Any]) -> str:
    """What the environment says that is to be done; "" where it does not."""
    sources = (info, observation) if isinstance(observation, Mapping) else (info,)
    for source in sources:
        for name in ("instruction", "mission", "goal", "objective", "task"):
            value = source.get(name)
            value = getattr(value, "instruction", value)
            if isinstance(value, str) and value.strip():
                return " ".join(value.split())
    return ""


def admissible_names(info: Mapping[str, Any], names: Sequence[str]) -> list[str] | None:
    """The actions that are allowed now: a list in `info`, or the names less what `info["action_mask"]` forbids."""
    for name in ACTION_LISTS:
        actions = info.get(name)
        if isinstance(actions, list | tuple) and all(isinstance(action, str) for action in actions):
            return list(dict.fromkeys(actions))
    mask = info.get("action_mask")
    if names and mask is not None and len(mask) == len(names):
        return [name for name, allowed in zip(names, mask, strict=True) if allowed]
    return list(names) or None
