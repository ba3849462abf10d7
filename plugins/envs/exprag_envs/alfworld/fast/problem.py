"""Reads an ALFWorld game's `pddl_problem`: typed entities, initial facts and the goal. It knows PDDL, not ALFWorld's text.

Names are lower-cased, as PDDL compares them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from exprag.errors import EnvError

Fact = tuple[str, ...]
Facts = dict[str, set[Fact]]
Tree = list[Any]  # of str and Tree

# Predicates of the ALFRED domain by number of arguments. Those after the gap appear in no rule that the games use.
ARITY = {
    "atlocation": 2, "receptacleatlocation": 2, "objectatlocation": 2, "inreceptacle": 2, "inreceptacleobject": 2,
    "receptacletype": 2, "objecttype": 2, "cancontain": 2, "holds": 2, "holdsany": 1, "openable": 1, "opened": 1,
    "pickupable": 1, "toggleable": 1, "istoggled": 1, "ison": 1, "sliceable": 1, "issliced": 1, "isreceptacleobject": 1,
    "cleanable": 1, "isclean": 1, "heatable": 1, "ishot": 1, "coolable": 1, "iscool": 1,

    "checked": 1, "examined": 1, "moveable": 1, "full": 1, "isreceptacleobjectfull": 1, "holdsanyreceptacleobject": 1,
    "wasinreceptacle": 2,
}  # fmt: skip

_TOKEN = re.compile(r"[()]|[^\s()]+")
_COMMENT = re.compile(r";[^\n]*")


@dataclass(frozen=True)
class Problem:
    """`types`: entity → type. `facts`: predicate → its tuples of arguments. `goal`: the goal formula as nested lists."""

    types: dict[str, str]
    facts: Facts
    goal: Tree


def read_problem(text: object) -> Problem:
    """Parse a PDDL problem of the domain "alfred". Raises EnvError naming the part that is missing or not understood."""
    if not isinstance(text, str) or not text.strip():
        raise EnvError("its pddl_problem is missing or empty.")
    tree = _tree(text.lower())
    if tree[:1] != ["define"]:
        raise EnvError("its pddl_problem does not begin with '(define (problem …'.")
    parts = {part[0]: part[1:] for part in tree[1:] if isinstance(part, list) and part and isinstance(part[0], str)}
    for name in (":objects", ":init", ":goal"):
        if not parts.get(name):
            raise EnvError(f"its pddl_problem has no {name} part.")
    if parts.get(":domain", ["alfred"]) != ["alfred"]:
        raise EnvError(f"its pddl_problem belongs to domain {parts[':domain']}, not 'alfred'.")
    types = _typed(parts[":objects"])
    return Problem(types, _facts(parts[":init"], types), parts[":goal"][0])


def _tree(text: str) -> Tree:
    """The first s-expression of a text as nested lists."""
    if ";" in text:
        text = _COMMENT.sub("", text)
    stack: list[Tree] = [[]]
    for token in _TOKEN.findall(text):
        if token == "(":
            stack.append([])
        elif token == ")":
            branch = stack.pop()
            if not stack:
                raise EnvError("its pddl_problem has a ')' too many.")
            stack[-1].append(branch)
        else:
            stack[-1].append(token)
    if len(stack) > 1:
        raise EnvError(f"its pddl_problem ends too early: {len(stack) - 1} bracket(s) still open.")
    if len(stack[0]) != 1 or not isinstance(stack[0][0], list):
        raise EnvError("its pddl_problem is not one bracketed expression.")
    return stack[0][0]


def _typed(words: Tree) -> dict[str, str]:
    """`a b - t c - u` as {a: t, b: t, c: u}."""
    types: dict[str, str] = {}
    names: list[str] = []
    rest = iter(words)
    for word in rest:
        if not isinstance(word, str):
            raise EnvError(f"its :objects part holds a bracket where a name was expected: {word}.")
        if word == "-":
            kind = next(rest, None)
            if not isinstance(kind, str) or not names:
                raise EnvError("its :objects part has a '-' without a name before it and a type after it.")
            types.update(dict.fromkeys(names, kind))
            names = []
        else:
            names.append(word)
    if names:
        raise EnvError(f"its :objects part leaves {names[0]!r} without a type.")
    return types


def _facts(init: Tree, types: dict[str, str]) -> Facts:
    facts: Facts = {}
    for item in init:
        if item and item[0] == "=":  # costs and distances: nothing that the game says depends on them
            continue
        if not isinstance(item, list) or not item or ARITY.get(str(item[0])) != len(item) - 1:
            raise EnvError(f"its :init part holds {_written(item)}, which is not a fact of the ALFRED domain.")
        for name in item[1:]:
            if not isinstance(name, str) or name not in types:
                raise EnvError(f"its :init part names {_written(name)}, which :objects does not declare.")
        facts.setdefault(item[0], set()).add(tuple(item[1:]))
    return facts


def _written(item: Any) -> str:
    return f"({' '.join(map(_written, item))})" if isinstance(item, list) else repr(item)
