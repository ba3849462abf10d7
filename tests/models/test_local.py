"""Local models: what the chat template makes of a prompt, where an answer ends, and folders that cannot be loaded."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from exprag.errors import ConfigError, ModelError
from exprag.models import load_model
from exprag.models.cards import Base, Card
from exprag.models.chat_template import ChatTemplate
from exprag.models.end_of_turn import base_stops, end_of_turn, stop_ids

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

TALK = [SystemMessage("You act.\n\nYour task: boil it"), HumanMessage("a crate 1")]
CHAT = [{"role": "system", "content": "You act."}, {"role": "user", "content": "a crate 1"}]
TURNS = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}<|assistant|>"
DROPS = "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}<|assistant|>"
REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TURNS
LAST = (
    "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>"
    "{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}{{ m.content }}</s>{% endfor %}"
    "<|assistant|>"
)
ALTERNATES = (
    "{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}{% endif %}"
    "<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}<|assistant|>"
)
NO_OBSERVATION = "{{ messages[0].content }}{% for m in messages[1:-1] %}{{ m.content }}</s>{% endfor %}<|assistant|>"


class TestTemplates:
    @pytest.mark.parametrize("template", [DROPS, REFUSES, LAST, ALTERNATES])
    def test_a_template_without_a_system_role_gets_it_in_the_first_user_message(self, template: str) -> None:
        chat = ChatTemplate(tiny.make_tokenizer(chat_template=template))
        assert chat.folds
        assert "<|user|>You act.\n\na crate 1</s><|assistant|>" in chat.render(CHAT)
        with pytest.raises(ConfigError, match="system=fold"):
            ChatTemplate(tiny.make_tokenizer(chat_template=template), "native")

    def test_a_template_with_one_keeps_it_unless_told_otherwise(self) -> None:
        tokenizer = tiny.make_tokenizer(chat_template=TURNS)
        assert ChatTemplate(tokenizer).render(CHAT) == "<|system|>You act.</s><|user|>a crate 1</s><|assistant|>"
        assert ChatTemplate(tokenizer, "fold").render(CHAT) == "<|user|>You act.\n\na crate 1</s><|assistant|>"

    def test_a_template_that_leaves_the_observation_out_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="leaves out the last observation"):
            ChatTemplate(tiny.make_tokenizer(chat_template=NO_OBSERVATION))

    def test_messages_of_one_role_are_joined_where_a_template_demands_alternation(self) -> None:
        chat = [*CHAT, {"role": "user", "content": "and a box 2"}]
        template = ChatTemplate(tiny.make_tokenizer(chat_template=ALTERNATES))
        assert template.render(chat) == "<|user|>You act.\n\na crate 1\n\nand a box 2</s><|assistant|>"

    def test_fields_reach_the_template(self) -> None:
        thinking = TURNS + "{% if not enable_thinking %}<think></think>{% endif %}"
        tokenizer = tiny.make_tokenizer(chat_template=thinking)
        assert ChatTemplate(tokenizer, kwargs={"enable_thinking": False}).render(CHAT).endswith("<think></think>")
        assert ChatTemplate(tokenizer, kwargs={"enable_thinking": True}).render(CHAT).endswith("<|assistant|>")

    def test_the_served_model_reads_task_and_observation(self, tmp_path: Path) -> None:
        folder = tiny.make_model(tmp_path / "model", tiny.make_tokenizer(chat_template=DROPS))
        model: Any = load_model(f"hf:{folder}?max_new_tokens=2")
        prompt = model._to_chat_prompt(TALK)
        assert "Your task: boil it" in prompt
        assert "a crate 1" in prompt
        with pytest.raises(ModelError, match="leaves out the instruction"):
            load_model(f"hf:{folder}?system=native")

    def test_the_first_prompt_itself_is_checked(self, tmp_path: Path) -> None:
        picky = TURNS.replace("m.content", "(m.content if 'crate' not in m.content else 'nothing')")
        model = load_model(f"hf:{tiny.make_model(tmp_path / 'model', tiny.make_tokenizer(chat_template=picky))}")
        with pytest.raises(ModelError, match="leaves out the last observation"):
            model.invoke(TALK)

    def test_an_adapter_is_served_with_the_template_fields_of_its_card(self, tmp_path: Path) -> None:
        adapter = make_adapter(tiny.make_model(tmp_path / "base"), tmp_path / "adapter")
        card = Card(base=Base(name="base"), system="fold", chat_template_kwargs={"enable_thinking": False})
        (adapter / "exprag.json").write_text(card.model_dump_json())
        served: Any = load_model(f"hf:{adapter}?base={tmp_path / 'base'}")
        assert (served.template.folds, served.template.kwargs) == (True, {"enable_thinking": False})
        native: Any = load_model(f"hf:{adapter}?base={tmp_path / 'base'}&system=native")
        assert not native.template.folds


class TestEnds:
    """A base that ends with </s>, and a template that ends turns with another token."""

    TEMPLATE = TURNS.replace("</s>", "<|user|>")  # whatever token: here one that the tokenizer has

    def test_one_definition_for_rows_and_serving(self) -> None:
        tokenizer = tiny.make_tokenizer(chat_template=self.TEMPLATE)
        template = ChatTemplate(tokenizer)
        assert end_of_turn(template) == "<|user|>"
        assert stop_ids(template, tokenizer) == [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|user|>")]

    def test_it_is_the_one_that_rows_teach(self) -> None:
        from exprag.training.rows.tokens import ChatTokens

        for source in (self.TEMPLATE, TURNS, tiny.CHAT_TEMPLATE):
            tokenizer = tiny.make_tokenizer(chat_template=source)
            assert ChatTokens(tokenizer).end_of_turn == end_of_turn(ChatTemplate(tokenizer))

    def test_whether_the_base_stops_there(self) -> None:
        class Config:
            eos_token_id = [2]

        class Generation:
            eos_token_id = 4  # <|user|>

        same, other = (ChatTemplate(tiny.make_tokenizer(chat_template=source)) for source in (TURNS, self.TEMPLATE))
        assert base_stops(same, Config)
        assert not base_stops(other, Config)
        assert base_stops(other, Config, Generation)

    def test_generation_stops_at_the_templates_end(self, tmp_path: Path) -> None:
        folder = tiny.make_model(tmp_path / "model", tiny.make_tokenizer(chat_template=self.TEMPLATE))
        model: Any = load_model(f"hf:{folder}?max_new_tokens=30")
        ids = always(model, "g", "o", "<|user|>", "x")
        answer = model.invoke(TALK)
        assert answer.text == "go"
        assert answer.response_metadata["finish_reason"] == "stop"
        assert answer.usage_metadata["output_tokens"] == 3
        assert ids

    def test_a_turn_without_end_says_that_it_was_cut(self, tiny_model: Path) -> None:
        model = load_model(f"hf:{tiny_model}?max_new_tokens=3")
        always(model, "g", "o", "o", "o", "o")
        answer = model.invoke(TALK)
        assert (answer.text, answer.response_metadata["finish_reason"]) == ("goo", "length")

    def test_reasoning_marks_stay_in_the_answer_and_other_special_tokens_do_not(self, tmp_path: Path) -> None:
        tokenizer = tiny.make_tokenizer()
        tokenizer.add_special_tokens({"additional_special_tokens": ["[/THINK]"]})
        model = load_model(f"hf:{tiny.make_model(tmp_path / 'model', tokenizer)}")
        always(model, "a", "[/THINK]", "<|system|>", "b", "</s>")
        assert model.invoke(TALK).text == "a[/THINK]b"


def always(model: Any, *tokens: str) -> list[int]:
    """Make a loaded model generate these tokens, one after the other: its logits are set, all else runs as it is."""
    inner, tokenizer = model.llm.pipeline.model, model.tokenizer
    ids: list[int] = [tokenizer.convert_tokens_to_ids(token) for token in tokens]
    written = 0

    def steer(module: Any, args: Any, inputs: Any, output: Any) -> Any:
        """The logits after the last known token, and after each token that was guessed and read with it."""
        nonlocal written
        rows = output.logits.shape[1]
        guessed = inputs["input_ids"][0].tolist()[1 - rows :] if rows > 1 else []
        output.logits[:] = -100.0
        for row, token in zip(range(rows), ids[written:], strict=False):
            output.logits[:, row, token] = 100.0
        right = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(guessed, ids[written:], strict=False))
        written += 1 + len(list(right))
        return output

    inner.register_forward_hook(steer, with_kwargs=True)
    return ids


def test_a_prompt_beyond_the_context_names_both_lengths(tiny_model: Path) -> None:
    model = load_model(f"hf:{tiny_model}?max_new_tokens=4")
    with pytest.raises(ModelError, match=r"The prompt has 6\d\d tokens, and the context of .* holds 512"):
        model.invoke([SystemMessage("You act."), HumanMessage("x" * 600)])


def test_an_answer_is_shortened_to_what_the_context_still_holds(tiny_model: Path) -> None:
    model = load_model(f"hf:{tiny_model}?max_new_tokens=64")
    answer = model.invoke([SystemMessage("You act."), HumanMessage("x" * 494)])
    usage: Any = answer.usage_metadata
    assert usage["total_tokens"] <= 512


def make_adapter(base: Path, folder: Path, tokenizer: Any = None, start: bool = True) -> Path:
    """A LoRA adapter, untrained or, without `start`, with random weights. With a tokenizer that has more
    tokens, the base's embeddings are resized first."""
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    if tokenizer is not None:
        model.resize_token_embeddings(len(tokenizer))
        tokenizer.save_pretrained(folder)
    settings = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=start)
    peft.get_peft_model(model, settings).save_pretrained(folder)
    return folder


def test_adapters_on_one_base_share_its_weights(tmp_path: Path) -> None:
    base = tiny.make_model(tmp_path / "base")
    specs = [f"hf:{make_adapter(base, tmp_path / name, start=False)}?base={base}" for name in ("one", "two")]
    models: list[Any] = [load_model(spec) for spec in (f"hf:{base}", *specs)]
    assert len({id(model.weights) for model in models}) == 1
    assert [model.engine_adapter for model in models] == [None, "adapter-0", "adapter-1"]
    answers = [str(model.invoke(TALK).content) for model in models]
    alone: list[Any] = [load_model(spec, engine=False) for spec in (f"hf:{base}", *specs)]
    assert answers == [str(model.invoke(TALK).content) for model in alone]
    assert len(set(answers)) == 3
    assert len({id(model.weights) for model in alone}) == 3


class TestFolders:
    def test_an_adapter_with_added_tokens_loads(self, tmp_path: Path) -> None:
        base = tiny.make_model(tmp_path / "base")
        tokenizer = tiny.make_tokenizer()
        tokenizer.add_tokens(["<|begin|>", "<|done|>"])
        adapter = make_adapter(base, tmp_path / "adapter", tokenizer)
        model: Any = load_model(f"hf:{adapter}?base={base}&max_new_tokens=2")
        assert model.llm.pipeline.model.get_input_embeddings().weight.shape[0] == len(tokenizer)
        assert model.invoke(TALK).usage_metadata is not None

    @pytest.mark.parametrize("which", ["base", "adapter"])
    def test_a_git_lfs_pointer_is_named(self, tmp_path: Path, which: str) -> None:
        base = tiny.make_model(tmp_path / "base")
        adapter = make_adapter(base, tmp_path / "adapter")
        weights = next((tmp_path / which).glob("*.safetensors"))
        weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        with pytest.raises(ModelError, match=rf"{weights.name} is a git-lfs pointer.*git lfs pull"):
            load_model(f"hf:{adapter}?base={base}")

    @pytest.mark.parametrize("keep", [4, 40, -100])
    def test_a_truncated_file_is_named(self, tmp_path: Path, keep: int) -> None:
        folder = tiny.make_model(tmp_path / "model")
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:keep])
        with pytest.raises(ModelError, match=r"model\.safetensors is truncated"):
            load_model(f"hf:{folder}")

    def test_a_folder_of_gguf_files_is_named_as_such(self, tmp_path: Path) -> None:
        (tmp_path / "model.gguf").write_bytes(b"GGUF")
        with pytest.raises(ModelError, match=r"GGUF files only.*llama\.cpp"):
            load_model(f"hf:{tmp_path}")

    def test_a_missing_tokenizer_is_named(self, tmp_path: Path) -> None:
        folder = tiny.make_model(tmp_path / "model")
        for path in folder.glob("token*"):
            path.unlink()
        with pytest.raises(ModelError, match="has no tokenizer"):
            load_model(f"hf:{folder}")

    def test_a_damaged_tokenizer_is_named(self, tmp_path: Path) -> None:
        folder = tiny.make_model(tmp_path / "model")
        (folder / "tokenizer.json").write_text("{")
        with pytest.raises(ModelError, match=r"The tokenizer in .* could not be loaded"):
            load_model(f"hf:{folder}")

    def test_weights_of_another_shape_say_so(self, tmp_path: Path) -> None:
        folder = tiny.make_model(tmp_path / "model")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
        with pytest.raises(ModelError, match=r"The model in .* could not be loaded.*mismatch"):
            load_model(f"hf:{folder}")

    def test_an_adapter_of_another_base_says_so(self, tmp_path: Path) -> None:
        adapter = make_adapter(tiny.make_model(tmp_path / "base"), tmp_path / "adapter")
        other = tiny.make_model(tmp_path / "other", hidden_size=32)
        with pytest.raises(ModelError, match=r"The adapter in .* could not be loaded.*mismatch.*another base"):
            load_model(f"hf:{adapter}?base={other}")

    def test_a_damaged_adapter_config_is_named(self, tmp_path: Path) -> None:
        base = tiny.make_model(tmp_path / "base")
        adapter = make_adapter(base, tmp_path / "adapter")
        (adapter / "adapter_config.json").write_text("[]")
        with pytest.raises(ModelError, match=r"adapter_config\.json is damaged"):
            load_model(f"hf:{adapter}")

    def test_a_folder_without_weights(self, tmp_path: Path) -> None:
        folder = shutil.copytree(
            tiny.make_model(tmp_path / "model"), tmp_path / "copy", ignore=shutil.ignore_patterns("*.safetensors")
        )
        with pytest.raises(ModelError, match="has no weights"):
            load_model(f"hf:{folder}")


def test_a_turn_that_was_cut_is_no_action_in_the_graph(tiny_model: Path) -> None:
    from exprag.contracts.style import load_style
    from exprag.graph.asking import ask

    model = load_model(f"hf:{tiny_model}?max_new_tokens=8")
    always(model, *"goxtoxdr", "i", "f", "t")
    reply = ask(model, load_style("act"), [*TALK, AIMessage("look"), HumanMessage("a box")], ("go to {place}",))
    assert reply.text == "goxtoxdr"
    assert reply.turn.action == ""
    assert "token limit" in str(reply.turn.note)
