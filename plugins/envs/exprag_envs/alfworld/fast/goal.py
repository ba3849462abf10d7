"""Whether a problem's goal holds. Goals are conjunctions under `exists`, as ALFRED's all are.

The part of the goal that no action can change (types, places of receptacles …) is solved once, when the game is loaded;
what is left is looked up in the facts of the moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from exprag.errors import EnvError
from exprag_envs.alfworld.fast.problem import ARITY, Fact, Facts, Tree

# What actions can change; everything else is as in the problem, for ever.
CHANGING = frozenset(
    {
        "atlocation",
        "objectatlocation",
        "inreceptacle",
        "holds",
        "holdsany",
        "opened",
        "isclean",
        "ishot",
        "iscool",
        "istoggled",
        "ison",
        "issliced",
    }
)

_UNEQUAL = "not ="
_ARITY = ARITY | {_UNEQUAL: 2}

Atom = tuple[str, Fact]
Binding = dict[str, str]


class Goal:
    """`watched`: the predicates whose change can make the goal true or false."""

    def __init__(self, formula: Tree, facts: Facts) -> None:
        atoms: list[Atom] = []
        self._unequal: list[Fact] = []
        self._fresh = count()
        self._collect(formula, {}, atoms)
        self.watched = frozenset(name for name, _ in atoms if name in CHANGING)
        self._blocks = [self._prepare(block, facts) for block in _independent(atoms, self._unequal)]

    def holds(self, facts: Facts) -> bool:
        return all(
            any(next(self._match(changing, dict(binding), facts), None) is not None for binding in bindings)
            for bindings, changing in self._blocks
        )

    def _collect(self, formula: Tree, scope: Binding, atoms: list[Atom]) -> None:
        """Flatten and/exists into atoms; every quantified variable gets its own name."""
        head, flat = (formula[0], formula[1:]) if isinstance(formula, list) and formula else (None, [])
        if head == "not" and len(formula) == 2 and isinstance(formula[1], list):
            head, flat = f"not {formula[1][0]}" if formula[1] else "not", formula[1][1:]
        if head == "and":
            for part in formula[1:]:
                self._collect(part, scope, atoms)
        elif head == "exists" and len(formula) == 3:
            names = [word for word in formula[1] if str(word).startswith("?")]
            self._collect(formula[2], scope | {name: f"{name}#{next(self._fresh)}" for name in names}, atoms)
        elif isinstance(head, str) and _ARITY.get(head) == len(flat) and all(isinstance(word, str) for word in flat):
            words = tuple(_value(word, scope) for word in flat)
            if head == _UNEQUAL:
                self._unequal.append(words)
            else:
                atoms.append((head, words))
        else:
            raise EnvError(
                f"its goal uses {head!r}; the fast engine knows goals made of 'and', 'exists', facts and 'not (= …)'.",
                cure="Play this game with engine='alfworld'.",
            )

    def _prepare(self, block: list[Atom], facts: Facts) -> tuple[list[Binding], list[Atom]]:
        fixed = [atom for atom in block if atom[0] not in CHANGING]
        return list(self._match(fixed, {}, facts)), [atom for atom in block if atom[0] in CHANGING]

    def _match(self, atoms: list[Atom], binding: Binding, facts: Facts) -> Iterator[Binding]:
        """All ways to make every atom a fact, starting from a binding."""
        if not atoms:
            if all(_value(one, binding) != _value(other, binding) for one, other in self._unequal):
                yield binding
            return
        name, arguments = atoms[0]
        pattern = tuple(_value(argument, binding) for argument in arguments)
        candidates = facts.get(name, ())
        if not any(word.startswith("?") for word in pattern):
            if pattern in candidates:
                yield from self._match(atoms[1:], binding, facts)
            return
        for fact in candidates:
            extended = dict(binding)
            for word, value in zip(pattern, fact, strict=True):
                if extended.setdefault(word, value) != value if word.startswith("?") else word != value:
                    break
            else:
                yield from self._match(atoms[1:], extended, facts)


def _value(word: str, binding: Binding) -> str:
    return binding.get(word, word)


def _independent(atoms: list[Atom], unequal: list[Fact]) -> list[list[Atom]]:
    """Atoms grouped so that no two groups share a variable: each group can then be solved by itself."""
    groups: list[tuple[set[str], list[Atom]]] = []
    linked: list[tuple[Fact, list[Atom]]] = [(atom[1], [atom]) for atom in atoms] + [(words, []) for words in unequal]
    for words, members in linked:
        variables = {word for word in words if word.startswith("?")}
        touching = [group for group in groups if group[0] & variables]
        merged = set(variables).union(*(group[0] for group in touching))
        joined = [atom for group in touching for atom in group[1]] + members
        groups = [group for group in groups if group not in touching] + [(merged, joined)]
    return [members for _, members in groups if members]
