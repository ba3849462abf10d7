"""The chat model kit: the built-in models pass it, and models that break the contract do not."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from exprag.models import load_model
from exprag.testing import ModelConformance, Result, check_model


class TestCaseBased(ModelConformance):
    def make(self) -> BaseChatModel:
        return load_model("case-based")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> BaseChatModel:
    pytest.importorskip("torch")
    return load_model(f"hf:{tiny.make_model(tmp_path_factory.mktemp('kit') / 'model')}?max_new_tokens=8")


def test_a_local_model_passes(local: BaseChatModel) -> None:
    results = list(check_model(lambda: local))
    assert [(result.name, result.detail) for result in results if result.passed is False] == []
    assert [result.name for result in results if result.passed is None] == []


class Bad(BaseChatModel):
    """Answers as a well-behaved model would, but for one fault."""

    fault: str = ""
    calls: list[int] = []

    @property
    def _llm_type(self) -> str:
        return "" if self.fault == "nameless" else "bad"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        self.calls.append(1)
        text = "go to the sink"
        if self.fault == "brittle" and not str(messages[-1].text).isascii():
            raise ValueError("what is this?")
        if self.fault == "shared" and len(messages) == 2:
            text = f"answer {len(self.calls) if len(self.calls) > 12 else 0}"
        if stop and self.fault != "deaf":
            text = text.partition(stop[0])[0]
        size = 5 if self.fault == "constant" else sum(len(str(m.text)) for m in messages)
        usage = {"input_tokens": size, "output_tokens": -1 if self.fault == "negative" else 3, "total_tokens": size + 3}
        calls = [{"name": "act", "args": {}, "id": "1"}] if self.fault == "tools" else []
        message = AIMessage(text, usage_metadata=usage, tool_calls=calls, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("nameless", "is a chat model"),
        ("tools", "answers with text"),
        ("constant", "reports usage"),
        ("negative", "reports usage"),
        ("deaf", "honours stop"),
    ],
)
def test_a_bad_model_fails_the_check_of_its_fault(fault: str, check: str) -> None:
    assert failures(check_model(lambda: Bad(fault=fault))) == [check]


def test_a_well_behaved_model_passes_and_what_is_no_model_does_not() -> None:
    assert failures(check_model(Bad)) == []
    assert "is a chat model" in failures(check_model(lambda: "a name"))  # type: ignore[arg-type,return-value]


def failures(results: Any) -> list[str]:
    return [result.name for result in results if isinstance(result, Result) and result.passed is False]


def test_the_case_based_model_stops(local: BaseChatModel) -> None:
    prompt = [SystemMessage("Your task: x"), HumanMessage("a room")]
    assert load_model("case-based").invoke(prompt, stop=["o"]).text == "l"  # of "look"
