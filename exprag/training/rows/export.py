"""Rows in the shapes that other trainers read: TRL, TRL with tool calls, LLaMA-Factory, Axolotl; JSON lines.

    trl            messages; where not all turns of a row are learnt, prompt and completion, a row for each learnt turn
    trl-tools      the same with tool calls and a column `tools`: an action is a call of the tool `act`, or the call that it names
    llama-factory  conversations of human and gpt with `system`, and dataset_info.json beside the file
    axolotl        messages of type chat_template, each with `train`

A prompt that a row holds is the one that the graph sends, memory included; the tool-calling form is another way to write the same
turns, so serve such a model as an agent that calls tools. Every export says what a trainer's settings must add.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exprag.errors import ConfigError, closest
from exprag.files import beside, cannot_write, write_json
from exprag.traces.calls import calls_of
from exprag.traces.turns import split_turn
from exprag.training.rows.dataset import read_rows
from exprag.trajectory import Step

ACT = "act"
DATASET_INFO = "dataset_info.json"
Row = dict[str, Any]
Chat = list[dict[str, Any]]


@dataclass(frozen=True)
class Exported:
    """How many rows were written, and what the trainer must be told."""

    rows: int
    notes: tuple[str, ...] = ()


def export_rows(dataset: str | Path, out: str | Path, format: str) -> Exported:
    """Write a dataset that `data build` made in the shape of another trainer; the file appears whole.

    Raises ConfigError for an unknown format, where something lies at `out` already, and for a dataset without rows."""
    if format not in FORMATS:
        raise ConfigError(f"There is no training format {format!r}.", cure=closest(format, list(FORMATS)))
    target = Path(out).expanduser()
    info = target.with_name(DATASET_INFO)
    for place in (target, *([info] if format == "llama-factory" else [])):
        if place.exists():
            raise ConfigError(f"{place} exists already.", cure="Choose another path, or remove it.")
    by_turn = any(flag is False for row in read_rows(dataset) for flag in _learnt(row))
    rows, notes = FORMATS[format](dataset, by_turn)
    count = 0
    try:
        with beside(target) as partial:
            # half a character, which a tool call's arguments may hold, becomes JSON's own escape of it
            with partial.open("w", encoding="utf-8", errors="backslashreplace") as lines:
                for row in rows:
                    lines.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
                    count += 1
            if not count:
                raise ConfigError(f"{dataset} has no rows to learn.", cure="Build it from episodes that succeed.")
            if format == "llama-factory":
                write_json(info, {target.stem: _llama_factory_info(target.name)})
    except OSError as error:
        raise cannot_write(target, error) from error
    return Exported(count, notes)


def _learnt(row: Row) -> list[bool]:
    """For each turn of the model, in order, whether it is learnt."""
    return [flag for message, flag in zip(row["messages"], row["train"], strict=True) if message["role"] == "assistant"]


def _chats(dataset: str | Path, by_turn: bool) -> Iterator[Chat]:
    """The chats to learn: whole ones, or, where turns are context only, one that ends with each learnt turn."""
    for row in read_rows(dataset):
        messages = [dict(message) for message in row["messages"]]
        if not by_turn:
            yield messages
            continue
        for place, flag in enumerate(row["train"]):
            if flag:
                yield messages[: place + 1]


def _trl(dataset: str | Path, by_turn: bool) -> tuple[Iterator[Row], tuple[str, ...]]:
    return (_trl_row(chat, by_turn) for chat in _chats(dataset, by_turn)), _trl_notes(by_turn)


def _trl_row(chat: Chat, by_turn: bool) -> Row:
    return {"prompt": chat[:-1], "completion": chat[-1:]} if by_turn else {"messages": chat}


def _trl_notes(by_turn: bool) -> tuple[str, ...]:
    if by_turn:
        return ("TRL learns the completion of each row: SFTConfig(completion_only_loss=True), which is its default here.",)
    return ("All turns are learnt: SFTConfig(assistant_only_loss=True), with a chat template that marks them.",)


def _trl_tools(dataset: str | Path, by_turn: bool) -> tuple[Iterator[Row], tuple[str, ...]]:
    tools = json.dumps(_tools(dataset))

    def rows() -> Iterator[Row]:
        for chat in _chats(dataset, by_turn):
            yield {**_trl_row(_with_calls(chat), by_turn), "tools": tools}

    return rows(), _trl_notes(by_turn)


def _calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The tool calls that a turn is written as; none where it is other text."""
    calls = calls_of(Step(observation="", action=text))
    return [(call.name, call.arguments) for call in calls if isinstance(call.arguments, dict)]


def _is_talk(chat: Chat) -> bool:
    """Whether the model calls tools by name in this chat: then its other turns are words, and not actions."""
    return any(_calls(split_turn(message["content"])[1]) for message in chat if message["role"] == "assistant")


def _with_calls(chat: Chat) -> Chat:
    talk, messages = _is_talk(chat), Chat()
    pending: list[dict[str, Any]] = []
    for message in chat:
        if message["role"] == "user" and pending:
            messages.append({"role": "tool", "name": pending[0]["function"]["name"], "content": message["content"]})
            pending = []
        elif message["role"] != "assistant":
            messages.append(message)
        else:
            thought, action, _ = split_turn(message["content"])
            calls = _calls(action) or ([] if talk else [(ACT, {"action": action})])
            pending = [{"type": "function", "function": {"name": name, "arguments": arguments}} for name, arguments in calls]
            content = (thought or "") if calls else message["content"]
            messages.append({"role": "assistant", "content": content, **({"tool_calls": pending} if pending else {})})
    return [_in_text(message) for message in messages]


def _in_text(message: dict[str, Any]) -> dict[str, Any]:
    """The message with the arguments of its calls as JSON text, as OpenAI has them: a table would mix the names of all calls."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    return {
        **message,
        "tool_calls": [
            {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"], ensure_ascii=False)}}
            for call in calls
        ],
    }


_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}


def _tools(dataset: str | Path) -> list[Row]:
    """The definitions of all tools that the dataset's turns call, their arguments as they were seen."""
    argument_types: dict[str, dict[str, set[str]]] = {}
    required: dict[str, set[str]] = {}
    acts = False
    for row in read_rows(dataset):
        chat = row["messages"]
        acts = acts or not _is_talk(chat)
        for message in chat:
            for name, arguments in _calls(split_turn(message["content"])[1]) if message["role"] == "assistant" else ():
                places = argument_types.setdefault(name, {})
                for key, value in arguments.items():
                    places.setdefault(key, set()).add(_TYPES.get(type(value), "string"))
                required[name] = required.get(name, set(arguments)) & set(arguments)
    tools = [_tool(name, "", places, required[name]) for name, places in sorted(argument_types.items())]
    return [*([_tool(ACT, "Act in the environment.", {"action": {"string"}}, {"action"})] if acts else []), *tools]


def _tool(name: str, description: str, places: dict[str, set[str]], required: set[str]) -> Row:
    properties = {key: {"type": min(kinds) if len(kinds) == 1 else sorted(kinds)} for key, kinds in sorted(places.items())}
    parameters = {"type": "object", "properties": properties, "required": sorted(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def _llama_factory(dataset: str | Path, by_turn: bool) -> tuple[Iterator[Row], tuple[str, ...]]:
    names = {"user": "human", "assistant": "gpt"}

    def rows() -> Iterator[Row]:
        for chat in _chats(dataset, by_turn):
            system = "\n\n".join(message["content"] for message in chat if message["role"] == "system")
            turns = [{"from": names[m["role"]], "value": m["content"]} for m in chat if m["role"] != "system"]
            yield {"conversations": turns, "system": system}

    note = "Only the last turn of a row is learnt: set mask_history: true." if by_turn else "All turns are learnt."
    return rows(), (f"{DATASET_INFO} names the dataset.", note)


def _llama_factory_info(file: str) -> Row:
    tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    columns = {"messages": "conversations", "system": "system"}
    return {"file_name": file, "formatting": "sharegpt", "columns": columns, "tags": tags}


def _axolotl(dataset: str | Path, by_turn: bool) -> tuple[Iterator[Row], tuple[str, ...]]:
    def rows() -> Iterator[Row]:
        for row in read_rows(dataset):
            yield {"messages": [{**m, "train": flag} for m, flag in zip(row["messages"], row["train"], strict=True)]}

    return rows(), ("Set type: chat_template, field_messages: messages and message_field_training: train.",)


Writer = Callable[[str | Path, bool], tuple[Iterable[Row], tuple[str, ...]]]
FORMATS: dict[str, Writer] = {"trl": _trl, "trl-tools": _trl_tools, "llama-factory": _llama_factory, "axolotl": _axolotl}
