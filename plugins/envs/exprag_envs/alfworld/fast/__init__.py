"""A direct simulator of ALFWorld's text games: pure Python, no planner, no grammar engine, safe in threads.

problem.py   reads the PDDL problem of a game file
goal.py      answers whether the problem's goal holds
world.py     what is where: the fixed world and the facts that actions change
actions.py   the actions: when each is understood, what it changes, what the game then says
text.py      the game's sentences
expert.py    the policy of the package's hand-coded expert
engine.py    all of it behind the `Engine` protocol
"""

from exprag_envs.alfworld.fast.engine import FastEngine

__all__ = ["FastEngine"]
