"""What exprag-guess brings to exprag.

Exprag reads this at every start: import nothing heavy here, and start nothing.
"""

from exprag.authoring import Register, hookimpl


@hookimpl
def register_environments(register: Register) -> None:
    register(
        "guess",
        "exprag_guess.environment:GuessEnvironment",
        description="find a number between 1 and 8",
    )
