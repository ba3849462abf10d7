"""A paper's tables played again, ours beside the paper's: `exprag reproduce`.

Each table is a TOML file beside this one (exprag/*.toml): its arms, and the paper's figures. What is played of an environment at
full and at small size stands in exprag/environments.toml.
"""

from exprag.reproduce.plan import Plan, make_plan, table_names
from exprag.reproduce.result import Reproduction, reproduce

__all__ = ["Plan", "Reproduction", "make_plan", "reproduce", "table_names"]
