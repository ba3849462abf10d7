"""TextWorld (Côté et al. 2018): small text games that the library generates on this machine. Nothing is downloaded."""

from exprag import hookimpl
from exprag.hookspecs import Register


@hookimpl
def register_environments(register: Register) -> None:
    register(
        "textworld",
        "exprag_envs.textworld.environment:TextWorld",
        description="generated games: find a coin or treasure, follow a quest, cook a meal; no download",
        requires=("textworld",),
        extra="textworld",
    )
