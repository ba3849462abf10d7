"""Rows as other trainers read them: loaded by TRL itself, and by the schemas of LLaMA-Factory's and Axolotl's documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command_line import call
from tiny import make_model, make_tokenizer

from exprag.bank import Bank
from exprag.errors import ConfigError
from exprag.training import DataConfig, build_rows, read_rows, write_dataset
from exprag.training.rows.export import export_rows
from exprag.trajectory import Step, Task, Trajectory
from toy import Toy

TEXT = {"type": "string"}
TURN = {"type": "object", "required": ["from", "value"], "properties": {"from": {"enum": ["human", "gpt"]}, "value": TEXT}}
LLAMA_FACTORY = {
    "type": "object",
    "required": ["conversations"],
    "additionalProperties": False,
    "properties": {"conversations": {"type": "array", "minItems": 2, "items": TURN}, "system": TEXT},
}
MESSAGE = {
    "type": "object",
    "required": ["role", "content", "train"],
    "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": TEXT, "train": {"type": "boolean"}},
}
MESSAGES = {"type": "array", "minItems": 2, "items": MESSAGE}
AXOLOTL = {"type": "object", "required": ["messages"], "properties": {"messages": MESSAGES}}
TOOL = {
    "type": "object",
    "required": ["type", "function"],
    "properties": {
        "type": {"const": "function"},
        "function": {"type": "object", "required": ["name", "description", "parameters"]},
    },
}
# Writes tools and tool calls, as the templates of models that call tools do.
TOOLS_TEMPLATE = (
    "{{ bos_token }}{% if tools %}<|system|>{{ tools | tojson }}{{ eos_token }}{% endif %}{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% for c in m.tool_calls or [] %}"
    "{{ c.function.name }} {{ c.function.arguments }}{% endfor %}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def dataset(tmp_path: Path, toy_bank: Bank, toy_episodes: list[Trajectory]) -> Path:
    write_dataset(tmp_path / "rows.jsonl", build_rows(toy_episodes[:3], toy_bank, DataConfig.make(style="react"), Toy()))
    return tmp_path / "rows.jsonl"


@pytest.fixture
def partly(tmp_path: Path, toy_bank: Bank, toy_episodes: list[Trajectory]) -> Path:
    """Rows of which only later turns are learnt."""
    config = DataConfig.make(refresh="every_step", strategy="trajectory")
    write_dataset(tmp_path / "partly.jsonl", build_rows(toy_episodes[:2], toy_bank, config, Toy()))
    assert any(not all(row["train"][2::2]) for row in read_rows(tmp_path / "partly.jsonl"))
    return tmp_path / "partly.jsonl"


def test_whole_rows_for_trl_are_their_messages(dataset: Path, tmp_path: Path) -> None:
    exported = export_rows(dataset, tmp_path / "trl.jsonl", "trl")
    rows = list(read_rows(dataset))
    assert (exported.rows, lines(tmp_path / "trl.jsonl")) == (len(rows), [{"messages": row["messages"]} for row in rows])


def test_rows_of_which_a_part_is_learnt_are_a_row_for_each_turn(partly: Path, tmp_path: Path) -> None:
    exported = export_rows(partly, tmp_path / "trl.jsonl", "trl")
    learnt = [
        (row["messages"][:place], [row["messages"][place]])
        for row in read_rows(partly)
        for place, flag in enumerate(row["train"])
        if flag
    ]
    assert [(row["prompt"], row["completion"]) for row in lines(tmp_path / "trl.jsonl")] == learnt
    assert exported.rows == len(learnt)


def test_an_action_is_a_call_and_what_it_led_to_its_result(dataset: Path, tmp_path: Path) -> None:
    export_rows(dataset, tmp_path / "tools.jsonl", "trl-tools")
    row, source = lines(tmp_path / "tools.jsonl")[0], next(read_rows(dataset))
    (tool,) = json.loads(row["tools"])
    jsonschema.validate(tool, TOOL)
    assert tool["function"]["name"] == "act"
    roles = [message["role"] for message in row["messages"]]
    assert roles[:4] == ["system", "user", "assistant", "tool"]
    turns = [message for message in row["messages"] if message["role"] == "assistant"]
    plain = [message["content"] for message in source["messages"] if message["role"] == "assistant"]
    actions = [json.loads(turn["tool_calls"][0]["function"]["arguments"])["action"] for turn in turns]
    assert all(text.endswith(action) and action for text, action in zip(plain, actions, strict=True))
    assert [m["content"] for m in row["messages"] if m["role"] == "tool"] == [
        m["content"] for m in source["messages"][3:] if m["role"] == "user"
    ]


def test_calls_that_turns_are_written_as_are_those_calls(tmp_path: Path) -> None:
    steps = (
        Step(observation="Buy a cup.", action='search({"q": "cup", "n": 3})'),
        Step(observation="cup 3", action='search({"q": "tea \ud800"})'),
        Step(observation="tea 1", action="Bought."),
    )
    episode = Trajectory(task=Task(environment="toy", id="x", instruction="Buy a cup."), steps=steps, success=True, score=1.0)
    write_dataset(
        tmp_path / "rows.jsonl", build_rows([episode], None, DataConfig.make(style="act", k=0, other_versions=True), Toy())
    )
    export_rows(tmp_path / "rows.jsonl", tmp_path / "tools.jsonl", "trl-tools")
    (row,) = lines(tmp_path / "tools.jsonl")
    (tool,) = json.loads(row["tools"])
    assert tool["function"]["parameters"] == {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "q": {"type": "string"}},
        "required": ["q"],
    }
    first, second, last = (message for message in row["messages"] if message["role"] == "assistant")
    assert json.loads(first["tool_calls"][0]["function"]["arguments"]) == {"q": "cup", "n": 3}
    assert second["tool_calls"][0]["function"]["name"] == "search"
    assert json.loads(second["tool_calls"][0]["function"]["arguments"]) == {"q": "tea \ud800"}
    assert (last["content"], "tool_calls" in last) == ("Bought.", False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dataset", "partly"])
def test_trl_loads_and_learns_the_tool_calls(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    export_rows(request.getfixturevalue(name), tmp_path / "tools.jsonl", "trl-tools")
    rows = datasets.Dataset.from_json(str(tmp_path / "tools.jsonl"), cache_dir=str(tmp_path / "cache"))
    tokenizer = make_tokenizer(chat_template=TOOLS_TEMPLATE)
    folder = make_model(tmp_path / "model", tokenizer, max_position_embeddings=4096)
    config = trl.SFTConfig(
        output_dir=str(tmp_path / "out"),
        max_length=None,
        assistant_only_loss=name == "dataset",
        bf16=False,
        use_cpu=True,
        max_steps=1,
        per_device_train_batch_size=1,
        report_to=[],
        save_strategy="no",
    )
    trainer = trl.SFTTrainer(model=str(folder), args=config, train_dataset=rows, processing_class=tokenizer)
    text = tokenizer.decode(trainer.train_dataset[0]["input_ids"])
    assert "Act in the environment." in text
    assert 'act {"action": ' in text
    assert trainer.train().training_loss > 0


def test_llama_factory_reads_conversations_and_knows_the_dataset(dataset: Path, partly: Path, tmp_path: Path) -> None:
    for number, (source, mask) in enumerate(((dataset, False), (partly, True))):
        (tmp_path / str(number)).mkdir()
        out = tmp_path / str(number) / "runs.jsonl"
        exported = export_rows(source, out, "llama-factory")
        for row in lines(out):
            jsonschema.validate(row, LLAMA_FACTORY)
            names = [turn["from"] for turn in row["conversations"]]
            assert names == ["human", "gpt"] * (len(names) // 2)  # as it asks for
        info = json.loads((out.parent / "dataset_info.json").read_text())["runs"]
        assert (info["file_name"], info["formatting"], info["columns"]["messages"]) == ("runs.jsonl", "sharegpt", "conversations")
        assert any("mask_history: true" in note for note in exported.notes) is mask


def test_axolotl_reads_messages_and_which_are_learnt(partly: Path, tmp_path: Path) -> None:
    export_rows(partly, tmp_path / "axolotl.jsonl", "axolotl")
    for row, source in zip(lines(tmp_path / "axolotl.jsonl"), read_rows(partly), strict=True):
        jsonschema.validate(row, AXOLOTL)
        assert [message["train"] for message in row["messages"]] == source["train"]


def test_what_cannot_be_exported_is_said(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no training format 'trll'"):
        export_rows(dataset, tmp_path / "x.jsonl", "trll")
    (tmp_path / "there.jsonl").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        export_rows(dataset, tmp_path / "there.jsonl", "trl")
    outcome = call("data", "export", dataset, "--format", "axolotl", "--out", tmp_path / "new.jsonl")
    assert outcome.exit_code == 0, outcome.output
    assert "message_field_training: train" in outcome.output
