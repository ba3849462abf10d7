"""The actions of the game: which commands a state understands, what each changes, and what the game then says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from exprag_envs.alfworld.fast import text
from exprag_envs.alfworld.fast.world import State

Changes = frozenset[str]
_NOTHING: Changes = frozenset()


@dataclass(frozen=True)
class Action:
    """A command form with one slot ("open {}") or two ("take {} from {}").

    `allowed` tells whether it can be played with these entities; `play` changes the state and gives the feedback.
    `changes` names the predicates whose facts it adds or removes.
    """

    verb: str
    joint: str
    allowed: Callable[..., bool]
    play: Callable[..., str]
    changes: Changes = _NOTHING

    def command(self, *names: str) -> str:
        return f"{self.verb} {self.joint.join(names)}"


def perform(state: State, command: str) -> tuple[str, Changes] | None:
    """Play a command given exactly as the game writes it: feedback and changed predicates.

    None where the state does not understand it; then nothing has changed.
    """
    plain = _PLAIN.get(command)
    if plain is not None:
        return plain(state), _NOTHING
    for action in _BY_FIRST_WORD.get(command.partition(" ")[0], ()):
        rest = command.removeprefix(action.verb + " ")
        entities = [state.world.id.get(name) for name in (rest.split(action.joint, 1) if action.joint else (rest,))]
        if len(entities) == 1 + bool(action.joint) and None not in entities and action.allowed(state, *entities):
            return action.play(state, *entities), action.changes
    return None


def admissible(state: State) -> list[str]:
    """Every command that the state understands, sorted, each once."""
    return sorted({*_PLAIN, *_admissible(state)})


def _admissible(state: State) -> Iterator[str]:
    world, near = state.world, state.near
    inside = [(thing, holder) for thing, holder in state.facts["inreceptacle"] if holder in near]
    carried = state.held()
    lying = [thing for thing, location in state.facts["objectatlocation"] if location == state.here] if carried else []
    candidates = {
        _GO: [(receptacle,) for receptacle in world.place],
        _OPEN: [(receptacle,) for receptacle in near],
        _CLOSE: [(receptacle,) for receptacle in near],
        _EXAMINE: [(receptacle,) for receptacle in near],
        _EXAMINE_THING: [(thing,) for thing in carried],
        _USE: {(thing,) for thing, _ in inside},
        _TAKE: inside,
        _MOVE: [(thing, receptacle) for thing in carried for receptacle in near],
        _CLEAN: [(thing, receptacle) for thing in carried for receptacle in near],
        _HEAT: [(thing, receptacle) for thing in carried for receptacle in near],
        _COOL: [(thing, receptacle) for thing in carried for receptacle in near],
        _SLICE: [(thing, knife) for thing in lying for knife in carried],
    }
    for action, slots in candidates.items():
        for entities in slots:
            if action.allowed(state, *entities):
                yield action.command(*[world.name[entity] for entity in entities])


def _can_go(state: State, receptacle: str) -> bool:
    # Where it stands already, by whichever receptacle of the place, the game sees nothing to do.
    return state.world.place.get(receptacle, state.here) != state.here


def _go(state: State, receptacle: str) -> str:
    state.facts["atlocation"] = {(state.world.agent, state.world.place[receptacle])}
    return f"You arrive at {state.world.name[receptacle]}. {text.receptacle(state, receptacle)}"


def _can_open(state: State, receptacle: str) -> bool:
    return receptacle in state.near and not state.accessible(receptacle)


def _open(state: State, receptacle: str) -> str:
    state.facts["opened"].add((receptacle,))
    return f"You open the {state.world.name[receptacle]}. {text.receptacle(state, receptacle)}"


def _can_close(state: State, receptacle: str) -> bool:
    return receptacle in state.near and state.world.openable(receptacle) and state.accessible(receptacle)


def _close(state: State, receptacle: str) -> str:
    state.facts["opened"].discard((receptacle,))
    return f"You close the {state.world.name[receptacle]}."


def _can_take(state: State, thing: str, receptacle: str) -> bool:
    return (
        (thing, receptacle) in state.facts["inreceptacle"]
        and receptacle in state.near
        and not state.facts["holdsany"]
        and state.world.fact("pickupable", thing)
        and state.accessible(receptacle)
    )


def _take(state: State, thing: str, receptacle: str) -> str:
    facts, agent = state.facts, state.world.agent
    facts["inreceptacle"].discard((thing, receptacle))
    state.left.add((thing, receptacle))
    facts["objectatlocation"].discard((thing, state.here))
    facts["holds"].add((agent, thing))
    facts["holdsany"].add((agent,))
    return f"You pick up the {state.world.name[thing]} from the {state.world.name[receptacle]}."


def _holding_near(state: State, thing: str, receptacle: str) -> bool:
    return (state.world.agent, thing) in state.facts["holds"] and receptacle in state.near


def _can_move(state: State, thing: str, receptacle: str) -> bool:
    return _holding_near(state, thing, receptacle) and state.accessible(receptacle) and state.world.can_contain(receptacle, thing)


def _move(state: State, thing: str, receptacle: str) -> str:
    facts, agent = state.facts, state.world.agent
    facts["inreceptacle"].add((thing, receptacle))
    state.left.discard((thing, receptacle))
    facts["objectatlocation"].add((thing, state.here))
    facts["holds"].discard((agent, thing))
    facts["holdsany"].discard((agent,))
    return f"You move the {state.world.name[thing]} to the {state.world.name[receptacle]}."


def _treatment(verb: str, able: str, stations: tuple[str, ...], gained: str, lost: str = "") -> Action:
    """clean, heat and cool: hold the object before the station; its door does not matter."""

    def allowed(state: State, thing: str, receptacle: str) -> bool:
        able_and_there = state.world.fact(able, thing) and state.world.is_a(receptacle, *stations)
        return able_and_there and _holding_near(state, thing, receptacle)

    def play(state: State, thing: str, receptacle: str) -> str:
        state.facts[gained].add((thing,))
        if lost:
            state.facts[lost].discard((thing,))
        return f"You {verb} the {state.world.name[thing]} using the {state.world.name[receptacle]}."

    return Action(verb, " with ", allowed, play, frozenset({gained, lost}))


def _can_examine(state: State, thing: str) -> bool:
    # The domain means to allow what lies in reach as well, but a comma in its `exists` makes that part match nothing.
    return (state.world.agent, thing) in state.facts["holds"]


def _can_use(state: State, thing: str) -> bool:
    inside = state.facts["inreceptacle"]
    return state.world.fact("toggleable", thing) and any((thing, receptacle) in inside for receptacle in state.near)


def _use(state: State, thing: str) -> str:
    on = state.facts["ison"]
    on.symmetric_difference_update({(thing,)})
    state.facts["istoggled"].add((thing,))
    return f"You turn on the {state.world.name[thing]}."


def _can_slice(state: State, thing: str, knife: str) -> bool:
    return (
        (state.world.agent, knife) in state.facts["holds"]
        and state.world.is_a(knife, "knifetype", "butterknifetype")
        and state.world.fact("sliceable", thing)
        and (thing, state.here) in state.facts["objectatlocation"]
    )


def _slice(state: State, thing: str, knife: str) -> str:
    state.facts["issliced"].add((thing,))
    return f"You sliced the {state.world.name[thing]} with the {state.world.name[knife]}."


_PLAIN: dict[str, Callable[[State], str]] = {
    "look": text.look,
    "inventory": text.inventory,
    "help": lambda state: text.HELP,
}
_PLACES = frozenset({"inreceptacle", "objectatlocation", "holds", "holdsany"})
_GO = Action("go to", "", _can_go, _go, frozenset({"atlocation"}))
_OPEN = Action("open", "", _can_open, _open, frozenset({"opened"}))
_CLOSE = Action("close", "", _can_close, _close, frozenset({"opened"}))
_EXAMINE = Action("examine", "", lambda state, receptacle: receptacle in state.near, text.receptacle)
_EXAMINE_THING = Action("examine", "", _can_examine, text.thing)
_USE = Action("use", "", _can_use, _use, frozenset({"ison", "istoggled"}))
_TAKE = Action("take", " from ", _can_take, _take, _PLACES)
_MOVE = Action("move", " to ", _can_move, _move, _PLACES)
_CLEAN = _treatment("clean", "cleanable", ("sinkbasintype", "sinktype"), "isclean")
_HEAT = _treatment("heat", "heatable", ("microwavetype",), "ishot", "iscool")
_COOL = _treatment("cool", "coolable", ("fridgetype",), "iscool", "ishot")
_SLICE = Action("slice", " with ", _can_slice, _slice, frozenset({"issliced"}))

_ACTIONS = (_GO, _OPEN, _CLOSE, _EXAMINE, _EXAMINE_THING, _USE, _TAKE, _MOVE, _CLEAN, _HEAT, _COOL, _SLICE)
_BY_FIRST_WORD = {
    word: [action for action in _ACTIONS if action.verb.split()[0] == word]
    for word in {action.verb.split()[0] for action in _ACTIONS}
}
