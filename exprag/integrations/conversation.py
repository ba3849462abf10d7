"""A conversation of a chat agent as an episode: its messages as steps, a moment of it, and the finished whole as a Trajectory.

A step is one turn of the model: what it was told before (by a person, or by its tools) is the observation; its tool calls are
kept with their results, and are the action as `name({"argument": "value"})`, each on a line. The text beside them is the message,
and the model's reasoning the thought. A turn without tool calls is an answer: then the text is the action. System messages are
the agent's own setting and no part of the episode.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from exprag.contracts.query_strategy import Moment
from exprag.errors import ConfigError
from exprag.models.answers import reasoning_of
from exprag.prompt.block import BLOCK
from exprag.traces.calls import action_of
from exprag.trajectory import Provenance, Recalled, Source, Step, Task, ToolCall, Trajectory, now
from exprag.usage import usage_of

ENVIRONMENT = "conversation"
RECALLED = "exprag_recalled"
"""The entry of a turn's response_metadata that tells what was recalled at it; without one, what was recalled last."""
FORGOTTEN = "[A memory block stood here: past episodes of the bank.]"


def trajectory_from_messages(
    messages: Sequence[BaseMessage],
    task: Task | str | None = None,
    success: bool | None = None,
    *,
    environment: str = ENVIRONMENT,
    score: float | None = None,
    recalled: Iterable[Recalled | dict[str, Any]] = (),
    experience: Mapping[str, Any] | None = None,
    source: Source = "agent",
    run: str = "",
) -> Trajectory:
    """The finished conversation as experience, to be added to a bank: `bank.add([trajectory_from_messages(…)])`.

    `task`: a Task, or what was asked for; default: that of `experience`, else the first message of a person. `success` is the
    caller's judgement; None is unknown. `experience` is what the middleware left in the agent's state: it knows the task even
    where another middleware has summarised the message that gave it, and what was recalled; `recalled` says the latter alone.
    Raises ConfigError where the messages hold no turn of a model, RecordError for an argument that fits no record.
    """
    experience = experience or {}
    if task is None and "task" in experience:
        task = Task.from_dict(experience["task"])
    if not isinstance(task, Task):
        task = task_of(messages, environment, task)
    steps, rest = _steps(messages, tuple(Recalled.from_dict(item) for item in recalled or experience.get("recalled", ())))
    if not steps:
        raise ConfigError("The messages hold no turn of a model.", cure="Give the messages of a finished conversation.")
    turns = [message for message in messages if isinstance(message, AIMessage)]
    answered = not rest and not turns[-1].tool_calls
    model = turns[-1].response_metadata.get("model_name") or turns[-1].response_metadata.get("model") or ""
    return Trajectory.from_dict(
        {
            "task": task,
            "steps": tuple(steps),
            "final_observation": rest,
            "success": success,
            "score": score if score is not None else None if success is None else float(success),
            "ended": "terminated" if answered else "truncated",
            "source": source,
            "provenance": Provenance(run=run, model=str(model), created=now()),
        }
    )


def moment_of(messages: Sequence[BaseMessage], task: Task) -> Moment:
    """Where the conversation stands: the turns so far, and what the model is to answer now."""
    steps, observation = _steps(messages, ())
    return Moment(task, tuple(steps), observation)


def from_person(message: BaseMessage) -> bool:
    """Whether a person said it: middleware (LangChain's summaries) writes human messages too, and marks them."""
    return isinstance(message, HumanMessage) and "lc_source" not in message.additional_kwargs


def task_of(messages: Sequence[BaseMessage], environment: str, instruction: str | None = None) -> Task:
    """What the conversation is about. Its id is made from the words of the instruction: the same words are the same task."""
    if instruction is None:
        instruction = next((str(message.text) for message in messages if from_person(message)), "")
    id = hashlib.sha256(json.dumps(instruction).encode()).hexdigest()[:16]
    return Task.from_dict({"environment": environment, "id": id, "instruction": instruction})


def without_memory(message: BaseMessage) -> BaseMessage:
    """The message, where a tool has shown it past episodes without those: experience is not to hold other experience."""
    text = str(message.text)
    if not isinstance(message, ToolMessage) or not BLOCK.search(text):
        return message
    return message.model_copy(update={"content": BLOCK.sub(FORGOTTEN, text)})


def _steps(messages: Sequence[BaseMessage], recalled: tuple[Recalled, ...]) -> tuple[list[Step], str]:
    """The turns of the model, and what was said after the last of them."""
    results = {message.tool_call_id: str(message.text) for message in messages if isinstance(message, ToolMessage)}
    steps: list[Step] = []
    inputs: list[str] = []
    for message in messages:
        if isinstance(message, SystemMessage):
            continue
        if not isinstance(message, AIMessage):
            inputs.append(str(message.text))
            continue
        text = str(message.text)
        calls = tuple(_call(call, results) for call in calls_in(message))
        steps.append(
            Step(
                observation="\n".join(inputs),
                action=action_of(calls) if calls else text,
                thought=reasoning_of(message) or None,
                message=(text or None) if calls else None,
                calls=calls,
                recalled=_recalled_at(message, recalled),
                usage=usage_of(message)[0],
            )
        )
        inputs = []
    return steps, "\n".join(inputs)


def calls_in(message: AIMessage) -> list[dict[str, Any]]:
    """The tool calls of a turn by LangChain's names, those too whose arguments are not JSON: they stay as they were written."""
    broken = [{"id": call["id"], "name": call["name"], "args": call["args"] or ""} for call in message.invalid_tool_calls]
    return [*map(dict, message.tool_calls), *(call for call in broken if call["name"])]


def _recalled_at(message: AIMessage, recalled: tuple[Recalled, ...]) -> tuple[Recalled, ...]:
    own = message.response_metadata.get(RECALLED)
    return recalled if own is None else tuple(Recalled.from_dict(item) for item in own)


def _call(call: Mapping[str, Any], results: Mapping[str, str]) -> ToolCall:
    """A tool call of LangChain with its result; arguments that no JSON carries are written as text."""
    arguments = json.loads(json.dumps(call["args"], default=str), parse_constant=str)  # NaN and the infinities as words
    id = call.get("id") or ""
    return ToolCall(id=id, name=call["name"], arguments=arguments, result=results.get(id))
