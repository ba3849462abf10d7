"""The built-in distillers: what is written from finished episodes."""

from exprag import hookimpl
from exprag.hookspecs import Register

DISTILLERS = {
    "feedback": ("feedback:Feedback", "hints from failed runs and the environment's own feedback; no model"),
    "expert": ("expert:Expert", "hints from what the expert does where a failed run parts from its own; no model"),
    "chat": ("chat:Chat", "hints that a chat model writes from each failed run (hint distillation, stage B)"),
}


@hookimpl
def register_distillers(register: Register) -> None:
    for name, (place, description) in DISTILLERS.items():
        register(name, f"exprag_distillers.{place}", description=description)
