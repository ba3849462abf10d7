"""Model specs: parsed, refused with a cure, and really loaded (a tiny Llama, a LoRA adapter, a server on loopback)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from exprag.errors import ConfigError, ModelError
from exprag.models import load_model
from exprag_models.case_based import CaseBased

TALK = [SystemMessage("You act."), HumanMessage("a crate 1")]


@pytest.mark.parametrize("spec", ["case-based", "recall", "exprag/case-based"])
def test_the_baseline_by_its_names(spec: str) -> None:
    """`recall` is what configurations that version 0.1 saved call it."""
    assert isinstance(load_model(spec), CaseBased)


def test_a_ready_model_passes_through() -> None:
    model = CaseBased()
    assert load_model(model) is model
    with pytest.raises(ConfigError, match="takes no options"):
        load_model(model, temperature=1)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("case-basd", "Did you mean 'case-based'"),
        ("opena:gpt", "Did you mean 'openai'"),
        ("", "Write one of: anthropic, "),
        ("case-based:x", "takes no name"),
        ("hf:", "needs a name"),
        ("openai", "needs a name"),
        ("case-based?k=2", "Options of case-based: none"),
        ("hf:x?max_new_token=3", "Options of hf: max_new_tokens"),
        ("hf:x?max_new_tokens=many", "valid integer"),
        ("toy:Toy", "There is no model 'toy'"),  # a spec is never an import path
    ],
)
def test_a_wrong_spec_says_what_is_right(spec: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(spec)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "extra"),
    [("hf:x", "'exprag[hf]'"), ("openai:x", "'exprag[openai]'"), ("ollama:x", "langchain langchain-ollama")],
)
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, spec: str, extra: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(ModelError) as caught:
        load_model(spec)
    assert f"pip install {extra}" in str(caught.value)


class TestLocal:
    def test_greedy_sync_and_async(self, tiny_model: Path) -> None:
        model = load_model(f"hf:{tiny_model}?max_new_tokens=8")
        told = model.invoke(TALK)
        assert told.usage_metadata is not None
        assert told.usage_metadata["input_tokens"] == len("You act.a crate 1") + 6  # <s>, three roles, two </s>: byte tokens
        assert told.text
        assert "crate" not in told.text  # the prompt is not returned
        assert asyncio.run(model.ainvoke(TALK)).text == told.text

        async def streamed() -> str:
            return "".join([chunk.text async for chunk in model.astream(TALK)])

        assert asyncio.run(streamed()) == told.text

    def test_options(self, tiny_model: Path) -> None:
        short = load_model(f"hf:{tiny_model}?max_new_tokens=20", max_new_tokens=1)
        assert short.invoke(TALK).usage_metadata["output_tokens"] <= 3  # one token, which may be half a character

    def test_stop_strings_end_the_answer(self, tiny_model: Path) -> None:
        model = load_model(f"hf:{tiny_model}?max_new_tokens=12")
        whole = model.invoke(TALK).text
        stop = next(c for c in whole if c.isascii())
        assert model.invoke(TALK, stop=[stop]).text == whole.split(stop)[0]

    def test_sampling_is_seeded(self, tiny_model: Path) -> None:
        import torch

        model = load_model(f"hf:{tiny_model}?max_new_tokens=8&temperature=1.0")
        before = torch.random.get_rng_state()
        first = model.invoke(TALK).text
        assert torch.equal(before, torch.random.get_rng_state())
        assert model.invoke(TALK).text == first
        assert load_model(f"hf:{tiny_model}?max_new_tokens=8&temperature=1.0&seed=7").invoke(TALK).text != first

    def test_special_tokens_are_not_doubled(self, tiny_model: Path) -> None:
        model: Any = load_model(f"hf:{tiny_model}")
        seen: list[Any] = []
        hook = model.llm.pipeline.model.register_forward_pre_hook(
            lambda module, args, kwargs: seen.append(kwargs["input_ids"][0].tolist()), with_kwargs=True
        )
        model.invoke(TALK)
        hook.remove()
        assert seen[0][:2] == [1, 3]  # <s><|system|>

    def test_lone_surrogates_are_survived(self, tiny_model: Path) -> None:
        assert load_model(f"hf:{tiny_model}?max_new_tokens=2").invoke("\ud800").usage_metadata is not None

    def test_threads_take_turns(self, tiny_model: Path) -> None:
        model = load_model(f"hf:{tiny_model}?max_new_tokens=6")

        async def many() -> list[str]:
            return [m.text for m in await asyncio.gather(*(model.ainvoke(TALK) for _ in range(6)))]

        assert len(set(asyncio.run(many()))) == 1

    def test_lora_adapter_folder(self, tiny_model: Path, tmp_path: Path) -> None:
        torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")
        from transformers import AutoModelForCausalLM

        tuned = peft.get_peft_model(
            AutoModelForCausalLM.from_pretrained(tiny_model), peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj", "o_proj"])
        )
        with torch.no_grad():
            for name, weight in tuned.named_parameters():
                if "lora_" in name:
                    weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        tuned.save_pretrained(tmp_path / "adapter")
        plain, adapted = load_model(f"hf:{tiny_model}"), load_model(f"hf:{tmp_path / 'adapter'}")
        assert adapted.invoke(TALK).text != plain.invoke(TALK).text

        config = tmp_path / "adapter" / "adapter_config.json"
        told = json.loads(config.read_text())
        config.write_text(json.dumps({**told, "base_model_name_or_path": "/nowhere/base"}))
        with pytest.raises(ModelError, match=r"names the base model.*\?base="):
            load_model(f"hf:{tmp_path / 'adapter'}")
        again = load_model(f"hf:{tmp_path / 'adapter'}", base=str(tiny_model))
        assert again.invoke(TALK).text == adapted.invoke(TALK).text

    def test_missing_and_broken_folders(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no model folder"):
            load_model("hf:./not-there")
        with pytest.raises(ModelError, match="could not be loaded"):
            load_model(f"hf:{tmp_path}")

    def test_a_model_without_chat_template(self, tiny_model: Path, tmp_path: Path) -> None:
        import shutil

        copy = tmp_path / "plain"
        shutil.copytree(tiny_model, copy, ignore=shutil.ignore_patterns("chat_template*"))
        config = json.loads((copy / "tokenizer_config.json").read_text())
        config.pop("chat_template", None)
        (copy / "tokenizer_config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="no chat template"):
            load_model(f"hf:{copy}")


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OpenAI-compatible server on loopback that answers with what it was last told."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({"path": self.path, "key": self.headers["Authorization"], **body})
            message = {"role": "assistant", "content": "go to " + body["messages"][-1]["content"]}
            answer = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
            }
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None: ...

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/v1", asked
    httpd.shutdown()
    httpd.server_close()


class TestOpenAI:
    pytest.importorskip("langchain_openai")

    def test_a_server_of_ones_own(self, server: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
        url, asked = server
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        model: BaseChatModel = load_model(f"openai:my-model?base_url={url}&max_tokens=16")
        told = model.invoke(TALK)
        assert told.text == "go to a crate 1"
        assert told.usage_metadata is not None
        assert (told.usage_metadata["input_tokens"], told.usage_metadata["output_tokens"]) == (7, 3)
        assert asyncio.run(model.ainvoke(TALK)).text == told.text
        assert asked[0]["path"] == "/v1/chat/completions"
        assert (asked[0]["model"], asked[0]["temperature"], asked[0]["seed"]) == ("my-model", 0.0, 2025)
        assert 16 in (asked[0].get("max_tokens"), asked[0].get("max_completion_tokens"))

    def test_the_environment_names_the_server(
        self, server: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url, asked = server
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "from-env")
        load_model("openai:m", seed=1).invoke("x")
        assert asked[0]["key"] == "Bearer from-env"
        assert asked[0]["seed"] == 1

    def test_neither_server_nor_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
        with pytest.raises(ModelError, match="OPENAI_API_KEY"):
            load_model("openai:m")
