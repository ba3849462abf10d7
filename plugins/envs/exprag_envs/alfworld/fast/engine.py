"""The fast engine: ALFWorld's text games from the PDDL problem alone. See `exprag_envs.alfworld.engine` for the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from exprag.errors import EnvError
from exprag_envs.alfworld.engine import NOTHING_HAPPENS, GameState
from exprag_envs.alfworld.fast import actions, text
from exprag_envs.alfworld.fast.expert import Expert, Goal
from exprag_envs.alfworld.fast.problem import read_problem
from exprag_envs.alfworld.fast.searcher import Searcher
from exprag_envs.alfworld.fast.world import State, World


class FastEngine:
    """One game at a time. It holds no global state and no process: any number of them run side by side in threads."""

    def __init__(self) -> None:
        self._world: World | None = None
        self._state: State | None = None
        self._last = ("", GameState("", False))

    def load(self, game: Mapping[str, Any], key: str) -> None:
        try:
            if not isinstance(game, Mapping):
                raise EnvError("it is not a JSON object with pddl_problem and grammar.")
            world = World(read_problem(game.get("pddl_problem")))
            self._intro = text.intro(world, text.task_line(game))
        except EnvError as error:
            cure = error.cure or "Unpack or download the game file again; 'alfworld-download' fetches the release."
            raise EnvError(f"Game {key!r} cannot be played: {error.message}", cure=cure) from error
        self._world, self._state = world, None

    def reset(self) -> GameState:
        if self._world is None:
            raise EnvError("No game is loaded.", cure="Call load(game, key) first.")
        self._state = State(self._world)
        self._last = ("", GameState(self._intro, self._world.goal.holds(self._state.facts)))
        return self._last[1]

    def step(self, command: str) -> GameState:
        state = self._playing()
        won = self._last[1].won
        feedback, changes = actions.perform(state, command.strip()) or (NOTHING_HAPPENS, frozenset())
        if not changes.isdisjoint(state.world.goal.watched):
            won = state.world.goal.holds(state.facts)
        after = GameState(feedback, won)
        self._last = (command, after)
        return after

    def admissible(self) -> list[str]:
        return actions.admissible(self._playing())

    def expert(self, goal: Mapping[str, Any], seed: int, *, heeds_moves: bool = False) -> Iterator[str]:
        """The package's hand-coded expert; with `heeds_moves` without the package's mistake about drops."""
        policy = Expert(Goal.from_params(goal), seed, heeds_moves=heeds_moves)

        def act(command: str, after: GameState) -> str | None:
            return policy.act(command, after.feedback, self._playing(), self.admissible())

        return self._followed(act)

    def searcher(self, goal: Mapping[str, Any]) -> Iterator[str]:
        """The expert that is easy to learn from."""
        policy = Searcher(Goal.from_params(goal))
        return self._followed(lambda command, after: policy.act(command, self._playing()))

    def _followed(self, act: Callable[[str, GameState], str | None]) -> Iterator[str]:
        """A policy's actions, each asked for after the last command and what it led to, until the game is won or it gives up."""
        while not self._last[1].won:
            action = act(*self._last)
            if action is None:
                return
            yield action

    def close(self) -> None:
        self._world = self._state = None

    def _playing(self) -> State:
        if self._state is None:
            raise EnvError("No game is being played.", cure="Call load(game, key) and reset() first.")
        return self._state
