"""One configuration, written once: files, flat spelling, old names, and messages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from exprag import AgentConfig
from exprag.config import merged
from exprag.errors import ConfigError
from exprag.runs import RunConfig
from exprag.training import DataConfig

OLD = {"key": "task", "keep": 1, "mode": "lexical", "index": "matched", "wider": ["floor"], "documents": 2, "labels": False}
NEW = AgentConfig(
    key_strategy="task",
    carry_over=1,
    search_mode="lexical",
    index_state="matched",
    exclude_by=("floor",),
    document_k=2,
    outcome_labels=False,
)


@pytest.mark.parametrize("holder", [RunConfig, DataConfig])
def test_files_of_version_0_1_are_read(holder: type[RunConfig] | type[DataConfig], tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    more = {"environment": "toy"} if holder is RunConfig else {}
    file.write_text(json.dumps({**OLD, **more, "seed": 7}))
    config = holder.read(file)
    assert (config.agent, config.seed) == (NEW, 7)


def test_the_flat_and_the_nested_spelling_are_one() -> None:
    nested = RunConfig.make(environment="toy", agent={"k": 3, "style": "react"})
    assert RunConfig.make(environment="toy", k=3, style="react") == nested
    assert RunConfig.make(environment="toy", agent=AgentConfig(style="react"), k=3) == nested


def test_what_is_saved_reads_back(tmp_path: Path) -> None:
    config = RunConfig.make(environment="toy", k=3, types=["a", "b"], selector_options={"n": 1})
    file = tmp_path / "config.json"
    file.write_text(config.model_dump_json())
    assert RunConfig.read(file) == config
    toml = tmp_path / "config.toml"
    toml.write_text('environment = "toy"\ntypes = ["a", "b"]\n[agent]\nk = 3\nselector_options = {n = 1}\n')
    assert RunConfig.read(toml) == config


def test_what_is_given_goes_on_top_of_the_file(tmp_path: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text('environment = "toy"\n[agent]\nk = 3\nstyle = "react"\n')
    config = RunConfig.read(toml, k=5, limit=2)
    assert (config.agent.k, config.agent.style, config.limit) == (5, "react", 2)
    assert config.changed(k=1).agent == AgentConfig(k=1, style="react")


def test_options_of_a_plugin_are_replaced_not_mixed() -> None:
    assert merged({"agent": {"k": 1, "style_options": {"a": 1}}}, {"agent": {"style_options": {"b": 2}}}) == {
        "agent": {"k": 1, "style_options": {"b": 2}}
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kk": 3}, "kk.*Did you mean 'k'"),
        ({"agent": {"strategyy": "task"}}, "strategyy.*'strategy'"),
        ({"k": -1}, "agent.k.*greater than or equal to 0"),
        ({"placement": "above"}, "placement.*'system', 'task' or 'tail'"),
        ({"refresh": "sometimes"}, "refresh is once, every_step"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_right(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig.make(environment="toy", **values)
    assert re.search(message, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.json", b"[1, 2]", "holds a list"),
        ("utf16.json", '{"k": 1}'.encode("utf-16"), "not UTF-8"),
        ("broken.toml", b"k = = 1", "not valid TOML"),
        ("deep.json", b"[" * 100_000, "not valid JSON"),
        ("missing.json", None, "Cannot read"),
    ],
)
def test_a_file_that_is_no_configuration_says_so(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        RunConfig.read(file)


def test_a_byte_order_mark_costs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + b'{"environment": "toy"}')
    assert RunConfig.read(file).environment == "toy"


def test_every_field_says_what_it_is() -> None:
    for settings in (AgentConfig, RunConfig, DataConfig):
        assert [name for name, field in settings.model_fields.items() if not field.description] == []
