"""Where LoRA lands: bases that hold more than a language model, kinds that are refused in one line, packs on stateful layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny

from exprag.errors import ConfigError, ModelError
from exprag.models import load_model
from exprag.training import load_recipe, train
from exprag.training.sft.base import check_base, model_class, open_base

pytest.importorskip("trl")
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION |= {"image_size": 28, "patch_size": 14}


def multimodal(kind: str) -> Any:
    """A config of a few thousand weights that sees images too."""
    import transformers

    text = TEXT | {"vocab_size": len(tiny.make_tokenizer())}
    if kind == "gemma3":
        return transformers.Gemma3Config(text_config=text, vision_config=VISION, mm_tokens_per_image=1)
    if kind == "mistral3":
        text, vision = text | {"model_type": "mistral"}, VISION | {"model_type": "pixtral", "head_dim": 8}
        return transformers.Mistral3Config(text_config=text, vision_config=vision, image_token_index=5)
    vision = {"hidden_size": 16, "intermediate_size": 32, "depth": 1, "num_heads": 2, "out_hidden_size": 16}
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}}
    return transformers.Qwen2_5_VLConfig(text_config=text | rope, vision_config=vision)


CLASSES = {
    "gemma3": "Gemma3ForConditionalGeneration",
    "mistral3": "Mistral3ForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
}


def save(config: Any, name: str, folder: Path) -> str:
    import transformers

    getattr(transformers, name)(config).save_pretrained(folder)
    tiny.make_tokenizer().save_pretrained(folder)
    return str(folder)


def serves(adapter: Path) -> None:
    """The adapter is loaded for serving with all its weights, and answers."""
    import torch
    from safetensors.torch import load_file

    model: Any = load_model(f"hf:{adapter}?max_new_tokens=2")
    assert isinstance(model.invoke("look").content, str)
    parameters = dict(model.llm.pipeline.model.named_parameters())
    weights = load_file(adapter / "adapter_model.safetensors")
    for name, weight in weights.items():
        place = name.removeprefix("base_model.model.").replace(".weight", ".adapter-0.weight")
        assert torch.equal(parameters[place].float(), weight.float())


@pytest.mark.parametrize("targets", [("q_proj", "v_proj", "fc1", "linear_1"), "all-linear"], ids=["named", "all"])
@pytest.mark.parametrize("kind", CLASSES)
def test_lora_lands_on_the_language_model_alone(kind: str, targets: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    base = save(multimodal(kind), CLASSES[kind], tmp_path / "base")
    if targets != "all-linear":
        with pytest.raises(ConfigError, match=r"no linear layers fc1, linear_1.*q_proj"):  # these are of the part that sees
            train(tiny.make_rows(4), base, tmp_path / "out", num_train_epochs=1, target_modules=targets)
        targets = targets[:2]
    result = train(tiny.make_rows(4), base, tmp_path / "out", num_train_epochs=1, batch_size=4, target_modules=targets)
    names = set(load_file(result.adapter / "adapter_model.safetensors"))
    assert names
    assert all(".language_model.layers." in name for name in names)
    projections = {name.split(".")[-3] for name in names}
    everything = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert projections == (everything if targets == "all-linear" else {"q_proj", "v_proj"})
    if targets == "all-linear":
        serves(result.adapter)


@pytest.mark.parametrize("targets", [("q_proj",), "all-linear"], ids=["named", "all"])
def test_lora_on_the_last_layers_alone(base: str, targets: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    fields: dict[str, Any] = {"num_train_epochs": 1, "batch_size": 4, "target_modules": targets}
    with pytest.raises(ConfigError, match=r"has 2 decoder layers.*the last 3"):
        train(tiny.make_rows(4), base, tmp_path / "out", last_layers=3, **fields)
    result = train(tiny.make_rows(4), base, tmp_path / "out", last_layers=1, **fields)
    names = load_file(result.adapter / "adapter_model.safetensors")
    assert {name.split(".layers.")[1].split(".")[0] for name in names} == {"1"}
    assert {name.split(".")[-3] for name in names} >= {"q_proj"}
    assert not any("lm_head" in name for name in names)


def test_a_base_of_text_alone_excludes_nothing(base: str, tmp_path: Path) -> None:
    result = train(tiny.make_rows(4), base, tmp_path / "out", num_train_epochs=1, batch_size=4)
    assert json.loads((result.adapter / "adapter_config.json").read_text())["exclude_modules"] is None


def test_other_kinds_of_models_are_refused_in_one_line(base: str, tmp_path: Path) -> None:
    def refused(text: dict[str, Any], message: str) -> None:
        folder = tmp_path / "other"
        folder.mkdir(exist_ok=True)
        tiny.make_tokenizer().save_pretrained(folder)
        (folder / "config.json").write_text(json.dumps(text))
        with pytest.raises(ModelError, match=message) as caught:
            train(tiny.make_rows(), str(folder), tmp_path / "out", target_modules="all-linear")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600

    refused({"model_type": "no_such_kind"}, "no_such_kind")
    refused({"model_type": "bert", "architectures": ["BertModel"]}, r"\(bert\) is a BertModel, which is not a language model")
    refused({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, r"\(t5\) is a T5For.*not a language model")
    refused({"model_type": "whisper", "architectures": ["WhisperForAudioClassification"]}, "not a language model")
    refused({"model_type": "llama"}, r"\(llama\) names no architecture")
    (tmp_path / "other" / "config.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"could not be opened: .*config\.json"):
        train(tiny.make_rows(), str(tmp_path / "other"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("BambaConfig", {"attn_layer_indices": [1], "mamba_n_heads": 4, "mamba_d_head": 8}),
        ("Lfm2Config", {"layer_types": ["conv", "full_attention"]}),
        ("MiniMaxConfig", {"layer_types": ["linear_attention", "full_attention"]}),
        ("Qwen3NextConfig", {"layer_types": ["linear_attention", "full_attention"]}),
        ("FalconH1Config", {}),
    ],
)
def test_packs_are_refused_where_layers_carry_a_state(kind: str, more: dict[str, Any]) -> None:
    """Before anything is loaded. The same base without packs passes."""
    import transformers

    config = getattr(transformers, kind)(**TEXT | more)
    config.architectures = [kind.replace("Config", "ForCausalLM")]
    assert model_class("base", config)
    with pytest.raises(ConfigError, match=r"packed episodes would see each other\. Set packing = false"):
        check_base("base", config, load_recipe(packing=True, target_modules="all-linear"))
    check_base("base", config, load_recipe(packing=False, target_modules="all-linear"))


def test_packs_are_allowed_on_attention_alone(base: str) -> None:
    check_base(base, open_base(base)[0], load_recipe(packing=True))
