"""The built-in formatters."""

from exprag import hookimpl
from exprag.hookspecs import Register


@hookimpl
def register_formatters(register: Register) -> None:
    register(
        "chat_json",
        "exprag_formatters.chat_json:ChatJson",
        description="a JSON list of role/content messages (the paper's best and most robust format)",
    )
