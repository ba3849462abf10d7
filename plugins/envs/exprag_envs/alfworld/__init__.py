"""ALFWorld's text games as environments: `alfworld` (its data) and `alfworld-generated` (games made on the spot)."""

from exprag import hookimpl
from exprag.hookspecs import Register


@hookimpl
def register_environments(register: Register) -> None:
    register(
        "alfworld",
        "exprag_envs.alfworld.environment:AlfWorld",
        description="ALFWorld (text): household tasks of six types, 3,553 train games, hand-coded expert",
        check="exprag_envs.alfworld.games:problem",
    )
    register(
        "alfworld-generated",
        "exprag_envs.alfworld.generated:AlfWorldGenerated",
        description="ALFWorld (text) on generated, solvable games of all six types: no download",
    )
