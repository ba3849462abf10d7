"""The alfworld package's hand-coded expert, as an iterator of actions over whatever state the game is in.

It explores as a policy must and wins about nine games out of ten. Its rules are the package's `HandCodedTWAgent`, driven as
the package's `AlfredExpert` drives it: a first "look", then its own proposal, or "look" where that is not admissible.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from exprag.errors import EnvError

MAX_STEPS = 100  # by then it has won, or walks in circles


def package_expert(
    view: Callable[[], tuple[dict[str, Any], str]], goal: Mapping[str, Any], seed: int, lock: AbstractContextManager[Any]
) -> Iterator[str]:
    """`view()` gives the present state as the package's expert reads it, and the last command. See `Engine.expert`."""
    from alfworld.agents.expert import handcoded_expert

    policy_agent = _agent(goal)
    # Its choices come from the `random` module by that name in its own module: our generator stands there while it
    # thinks, so that equal seeds give equal actions and nobody else's random numbers are used up.
    generator = random.Random(seed)
    state, _ = view()
    policy_agent.observe(state["feedback"])
    yield "look"
    while True:
        state, last = view()
        if state["won"]:
            return
        with lock:
            handcoded_expert.random, original = generator, handcoded_expert.random
            try:
                action = policy_agent.act(state, 0, False, last)
            except (handcoded_expert.HandCodedAgentTimeout, handcoded_expert.HandCodedAgentFailed, LookupError):
                return  # it gives up: it says so itself, or looks for something that its tables lack
            finally:
                handcoded_expert.random = original
        yield action if action in state["admissible_commands"] else "look"


def _agent(goal: Mapping[str, Any]) -> Any:
    from alfworld.agents.expert import HandCodedTWAgent
    from alfworld.gen import constants

    agent = HandCodedTWAgent(max_steps=MAX_STEPS)
    # As `HandCodedAgent.reset` prepares them, which would read them from a file beside the game.
    agent.task_params = {k: v.lower() if v in constants.OBJECTS else v for k, v in goal.items()}
    try:
        agent.policy = agent.get_task_policy(agent.task_params)(agent.task_params, max_steps=MAX_STEPS)
    except Exception as error:  # the package raises a bare Exception for an unknown task type
        raise EnvError(f"The hand-coded expert does not know this task: {error}.") from error
    return agent
