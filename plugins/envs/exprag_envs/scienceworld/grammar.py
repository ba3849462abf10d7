"""The global forms of an action, as the prompt lists them, and the package's simplifications, which change them.

The forms are the simulator's own (`getPossibleActions`), with its "OBJ" written as a named slot; a test compares them with
the running simulator under every simplification.
"""

from __future__ import annotations

from exprag.errors import ConfigError, closest

ACTION_TEMPLATES = (
    "look around",
    "look at {object}",
    "look in {container}",
    "inventory",
    "task",
    "go {location}",
    "open {object}",
    "close {object}",
    "pick up {object}",
    "put down {object}",
    "move {object} to {object}",
    "pour {liquid} in {container}",
    "dunk {container} in {container}",
    "mix {container}",
    "activate {device}",
    "deactivate {device}",
    "use {tool} on {object}",
    "connect {object} to {object}",
    "disconnect {object}",
    "read {object}",
    "eat {object}",
    "flush {object}",
    "focus on {object}",
    "wait",
    "wait1",
    "reset task",
)
TELEPORT = "teleport {location}"
ELECTRICAL = ("connect {object} to {object}", "disconnect {object}")

SIMPLIFICATIONS = ("noElectricalAction", "openContainers", "openDoors", "selfWateringFlowerPots", "teleportAction")
EASY = "easy"  # the package's preset: all but openContainers; electrical tasks keep their actions


def parse_simplifications(text: str) -> tuple[str, ...]:
    """The names in a list with commas, sorted, without duplicates. Raises ConfigError for an unknown one."""
    names = sorted({name.strip() for name in text.split(",")} - {""})
    for name in names:
        if name not in (EASY, *SIMPLIFICATIONS):
            raise ConfigError(f"ScienceWorld has no simplification {name!r}.", cure=closest(name, [EASY, *SIMPLIFICATIONS]))
    if EASY in names and len(names) > 1:
        raise ConfigError(f"The simplification {EASY!r} is a preset and stands alone.", cure="Or list the others without it.")
    return tuple(names)


def templates_under(simplifications: tuple[str, ...]) -> tuple[str, ...]:
    """The action forms under these simplifications. Under "easy" the electrical forms hold in electrical tasks only."""
    templates: tuple[str, ...] = ACTION_TEMPLATES
    if "noElectricalAction" in simplifications:
        templates = tuple(form for form in templates if form not in ELECTRICAL)
    if {"teleportAction", EASY} & set(simplifications):
        templates = (*templates, TELEPORT)
    return templates


def is_electrical(name: str) -> bool:
    """Whether a task is about circuits, so that `noElectricalAction` makes it impossible (the package's own rule)."""
    return "power-component" in name or "conductivity" in name
