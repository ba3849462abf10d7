"""The chat model kit: does a model answer as the graph, the records and the budgets expect?

exprag validate model SPEC                                one command

class TestMine(ModelConformance):                         one class, in your own test suite
    def make(self): return make_my_model("tiny")

It asks the model some thirty times, so take a small one; nothing is asked but what `make` gives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exprag.errors import ModelError
from exprag.testing.kit import Check, Conformance, NotApplicable, Result, run_checks
from exprag.testing.material import ODD_TEXTS, TEMPLATES

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

TASK = "put a mug in the cabinet"


@dataclass
class ModelSubject:
    """What is examined: a factory of the model. One model is made, and asked again and again."""

    make: Callable[[], BaseChatModel]
    instance: Any = None

    def model(self) -> BaseChatModel:
        from langchain_core.language_models import BaseChatModel

        if self.instance is None:
            self.instance = self.make()
        kind = type(self.instance).__name__
        assert isinstance(self.instance, BaseChatModel), f"the factory gave a {kind}, not LangChain's BaseChatModel"
        return self.instance

    def ask(self, messages: Sequence[BaseMessage], **settings: Any) -> AIMessage:
        """The answer, asked for as the graph does."""
        from langchain_core.messages import AIMessage

        from exprag.models.calls import call_guarded

        model = self.model()
        answer = call_guarded(model, lambda prompt: model.invoke(prompt, **settings), messages)
        assert isinstance(answer, AIMessage), f"an answer must be an AIMessage, not a {type(answer).__name__}"
        return answer


def conversation(observation: str = "You see a mug.", turns: int = 0) -> list[BaseMessage]:
    """The messages of an episode of the kit's household after some turns."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    forms = "\n".join(["Actions have these forms (fill in the braces):", *(f"- {template}" for template in TEMPLATES)])
    messages: list[BaseMessage] = [SystemMessage(f"You act in a text environment.\n\n{forms}\n\nYour task: {TASK}")]
    for _ in range(turns):
        messages += [HumanMessage("You are in a room."), AIMessage("look")]
    return [*messages, HumanMessage(observation)]


def is_a_chat_model(subject: ModelSubject) -> str:
    model = subject.model()
    assert model._llm_type, "`_llm_type` is empty: traces name the model by it"
    return f"{type(model).__name__} ({model._llm_type})"


def answers_with_text(subject: ModelSubject) -> str:
    texts = []
    for turns in (0, 1, 3):
        answer = subject.ask(conversation(turns=turns))
        assert isinstance(answer.text, str), f"the text of an answer must be a str, not a {type(answer.text).__name__}"
        assert not answer.tool_calls, "a text was asked for, and a tool was called"
        texts.append(str(answer.text))
    return f"after 0, 1 and 3 turns, first {texts[0][:40]!r}"


def reports_usage(subject: ModelSubject) -> str:
    usage = subject.ask(conversation()).usage_metadata
    if usage is None:
        raise NotApplicable("it reports no usage: runs will count no tokens")
    for name in ("input_tokens", "output_tokens"):
        count = usage.get(name)
        assert isinstance(count, int), f"usage_metadata[{name!r}] must be a count, not {count!r}"
        assert count >= 0, f"usage_metadata[{name!r}] must be a count, not {count!r}"
    more = subject.ask(conversation(turns=4)).usage_metadata or {"input_tokens": 0}
    assert more["input_tokens"] > usage["input_tokens"], "a longer prompt must count more input tokens"
    return f"{usage['input_tokens']} tokens in, {usage['output_tokens']} out"


def says_why_it_ended(subject: ModelSubject) -> str:
    about = subject.ask(conversation()).response_metadata
    reason = next((about[name] for name in ("finish_reason", "stop_reason", "done_reason") if about.get(name)), None)
    if reason is None:
        raise NotApplicable("response_metadata has no finish_reason: turns that were cut off cannot be told from whole ones")
    return f"finish_reason {reason!r}"


def honours_stop(subject: ModelSubject) -> str:
    text = str(subject.ask(conversation()).text)
    mark = next((character for character in text[1:] if character.isalnum()), "")
    if not mark:
        raise NotApplicable("its answer is too short to be stopped in")
    stopped = str(subject.ask(conversation(), stop=[mark]).text)
    assert mark not in stopped, f"stop={[mark]!r} was given, and the answer goes on: {stopped[:40]!r}"
    return f"{text[:20]!r} became {stopped[:20]!r}"


def answers_in_coroutines(subject: ModelSubject) -> str:
    model, messages = subject.model(), conversation()

    async def many() -> list[str]:
        return [str(answer.text) for answer in await asyncio.gather(*(model.ainvoke(messages) for _ in range(3)))]

    with ThreadPoolExecutor(1) as pool:  # a thread of its own: the caller may have a loop running
        texts = pool.submit(asyncio.run, many()).result()
    assert all(isinstance(text, str) for text in texts)
    return f"{len(texts)} at once"


def answers_in_threads(subject: ModelSubject) -> str:
    first, again = (str(subject.ask(conversation()).text) for _ in range(2))
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda _: str(subject.ask(conversation()).text), range(4)))
    if first != again:
        return f"{len(texts)} at once; it answers otherwise each time"
    assert set(texts) == {first}, f"asked from 4 threads at once it answers {sorted(set(texts))!r}, alone {first!r}"
    return f"{len(texts)} at once, all alike"


def survives_unusual_text(subject: ModelSubject) -> str:
    """Whatever is observed, the answer is a message or a ModelError that says why not."""
    refused = 0
    for text in ODD_TEXTS:
        try:
            subject.ask(conversation(text))
        except ModelError:
            refused += 1
    assert refused <= len(ODD_TEXTS) // 2, f"{refused} of {len(ODD_TEXTS)} texts were refused"
    return f"{len(ODD_TEXTS)} texts, {refused} refused with a reason"


CHECKS: tuple[Check, ...] = (
    is_a_chat_model,
    answers_with_text,
    reports_usage,
    says_why_it_ended,
    honours_stop,
    answers_in_coroutines,
    answers_in_threads,
    survives_unusual_text,
)


def check_model(make: Callable[[], BaseChatModel]) -> Iterator[Result]:
    """Run every check on one model that `make` gives. A failed check stops no other."""
    return run_checks(CHECKS, ModelSubject(make))


class ModelConformance(Conformance):
    """Subclass in a test suite, override `make`; pytest runs each check as a test of its own."""

    checks = CHECKS

    def make(self) -> BaseChatModel:
        raise TypeError("Override make(): return your chat model.")

    def subject(self) -> ModelSubject:
        return ModelSubject(self.make)
