"""The built-in query strategies and selectors."""

from exprag import hookimpl
from exprag.hookspecs import Register


@hookimpl
def register_query_strategies(register: Register) -> None:
    register(
        "task",
        "exprag_retrievers.strategies:TaskStrategy",
        description="static: query and key are the task description, asked once (the paper's default)",
    )
    register(
        "trajectory",
        "exprag_retrievers.strategies:TrajectoryStrategy",
        description="dynamic: the episode so far against whole trajectories, asked at every step",
    )


@hookimpl
def register_selectors(register: Register) -> None:
    register("top_k", "exprag_retrievers.selectors:TopK", description="the k nearest, nearest first")
