"""The built-in formatters."""

from exprag import hookimpl
from exprag.hookspecs import Register

FORMATTERS = {
    "chat_json": ("ChatJson", "a JSON list of role/content messages (the paper's best and most robust format)"),
    "agentic_json": ("AgenticJson", "a JSON list of observation/action objects"),
    "compact_json": ("CompactJson", "one dense JSON object"),
    "textual": ("Textual", 'plain lines: "Observation: …", "Action: …"'),
    "plan": ("Plan", "the task and the actions that mattered, if wanted with what was seen before each"),
    "abbreviated": ("Abbreviated", "another format, chat_json by default, with its observations cut short"),
}


@hookimpl
def register_formatters(register: Register) -> None:
    for name, (attribute, description) in FORMATTERS.items():
        register(name, f"exprag_formatters.{name}:{attribute}", description=description)
