"""Options are made from the fields of the settings: a new field is written once, and files are overridden by what is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from command_line import call, exprag
from cyclopts import App
from pydantic import Field

from exprag.cli.fields import fields
from exprag.cli.main import COMMANDS
from exprag.cli.options import make, options
from exprag.cli.reference import page, reference, settings
from exprag.config import AgentConfig, Settings
from exprag.errors import ConfigError
from exprag.runs import RunConfig, RunDirectory


class Limits(Settings):
    tokens: int = 0
    """Tokens of a run, at most."""


class LouderConfig(AgentConfig):
    volume: Annotated[int, Field(ge=0)] | None = None
    """How loud the agent speaks, in decibels."""
    tones: tuple[int, ...] = ()
    """Tones, in hertz."""
    style_of_voice: Literal["soft", "loud"] = "soft"
    """Voice."""
    layers: Literal["all"] | tuple[str, ...] = "all"
    """Layers."""
    anything: Any = None
    """Whatever JSON can say."""


class LouderRun(RunConfig):
    agent: LouderConfig = Field(default_factory=LouderConfig)
    """The agent."""
    limits: Limits = Field(default_factory=Limits)
    """Limits of the run."""


LouderOptions = options(LouderRun)
command_line = App(result_action="return_value", help_format="plaintext")


@command_line.default
def command(*, config: Path | None = None, values: LouderOptions = None) -> LouderRun:
    return make(LouderRun, values, config)


def parse(*arguments: object, config: Path | None = None) -> LouderRun:
    """What a command with the options of `LouderRun` makes of a command line."""
    words = [*arguments, *(["--config", config] if config else [])]
    result = command_line([str(word) for word in words], exit_on_error=False, print_error=False)
    assert isinstance(result, LouderRun)
    return result


def test_a_new_field_is_written_once_and_is_in_python_toml_json_and_the_command_line(tmp_path: Path) -> None:
    expected = LouderRun.make(environment="e", volume=3)
    (tmp_path / "a.toml").write_text('environment = "e"\n[agent]\nvolume = 3\n')
    (tmp_path / "a.json").write_text(json.dumps(expected.model_dump()))
    assert LouderRun.read(tmp_path / "a.toml") == LouderRun.read(tmp_path / "a.json") == expected
    assert parse("-e", "e", "--volume", "3") == expected
    assert parse("--volume", "5", config=tmp_path / "a.toml").agent.volume == 5
    assert parse("--volume", "none", config=tmp_path / "a.toml").agent.volume is None
    field = next(field for field in fields(LouderRun) if field.name == "volume")
    assert field.description == "How loud the agent speaks, in decibels."
    assert "`volume` | `--volume`" in reference({"Agents": LouderConfig})


def test_help_shows_new_fields_with_their_description(capsys: pytest.CaptureFixture[str]) -> None:
    command_line(["--help"])
    text = capsys.readouterr().out
    assert "--volume INT" in text
    assert "How loud the agent speaks, in decibels." in " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize(
    ("typed", "field", "value"),
    [
        (["--types", "a, b"], "types", ("a", "b")),
        (["--types", "a", "--types", "b"], "types", ("a", "b")),
        (["--types", '["a,b"]'], "types", ("a,b",)),
        (["--task", "x", "--task", "y"], "task_ids", ("x", "y")),
        (["--shuffle"], "shuffle", True),
        (["--no-shuffle"], "shuffle", False),
        (["--per-type", "2"], "per_type", 2),
        (["--set", "size=3", "--set", "name=x=y"], "environment_options", {"size": 3, "name": "x=y"}),
        (["--bank", "none"], "bank", None),
        (["--learn", "none"], "learn", "none"),
        (["--learn", "success"], "learn", "success"),
        (["--limits-tokens", "1"], None, None),
        (["-k", "7"], "agent.k", 7),
        (["--strategy-options", 'keys=["a"]'], "agent.strategy_options", {"keys": ["a"]}),
        (["--tones", "440,880"], "agent.tones", (440, 880)),
        (["--layers", "all"], "agent.layers", "all"),
        (["--layers", "q,v"], "agent.layers", ("q", "v")),
        (["--anything", '{"a": 1}'], "agent.anything", {"a": 1}),
        (["--tokens", "9"], "limits.tokens", 9),
    ],
)
def test_what_is_typed_becomes_the_value_of_the_field(typed: list[str], field: str | None, value: Any) -> None:
    if field is None:
        with pytest.raises(Exception, match="Unknown option"):
            parse("-e", "e", *typed)
        return
    result: Any = parse("-e", "e", *typed)
    for name in field.split("."):
        result = getattr(result, name)
    assert result == value
    assert type(result) is type(value)


def test_home_folders_are_expanded_where_the_shell_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse("-e", "e", "--bank=~/bank").bank == f"{tmp_path}/bank"
    assert exprag("collect", "-e", "toy:Toy", "--limit", "1", "--workers", "0", "--out=~/run").exit_code == 0
    assert len(RunDirectory(tmp_path / "run").episodes()) == 1


def test_only_what_is_typed_overrides_the_file(tmp_path: Path) -> None:
    (tmp_path / "arm.toml").write_text('environment = "nowhere"\nworkers = 0\nlimit = 2\nmax_steps = 1\nindex = "empty"\nk = 4\n')
    out = tmp_path / "run"
    line = ("run", "-e", "toy:Toy", "--config", tmp_path / "arm.toml", "--limit", "1", "--index-state", "all", "-o", out)
    assert call(*line).exit_code == 0
    config = RunDirectory(out).config(allow_code=True)
    assert (config.limit, config.workers, config.max_steps, config.split) == (1, 0, 1, "test")
    assert (config.agent.index_state, config.agent.k) == ("all", 4)
    again = call("run", "-e", "toy:Toy", "--config", out / "config.json", "-k", "1", "-o", tmp_path / "again")
    assert again.exit_code == 0, again.output
    assert RunDirectory(tmp_path / "again").config(allow_code=True).agent.k == 1


def test_values_are_checked_by_the_settings() -> None:
    with pytest.raises(ConfigError, match=r"agent\.k: Input should be greater"):
        parse("-e", "e", "-k", "-1")
    with pytest.raises(ConfigError, match="--env NAME, or --config FILE"):
        parse("-k", "1")
    with pytest.raises(ConfigError, match="--style-options takes NAME=VALUE, not 'x'"):
        parse("-e", "e", "--style-options", "x")


@pytest.mark.parametrize("command", [["run"], ["collect"], ["data", "build"], ["train"], ["select"], ["tasks"]])
def test_help_is_in_groups_and_fits_80_columns(command: list[str]) -> None:
    text = exprag(*command, "--help", env={"COLUMNS": "80"}).stdout
    assert max(len(line) for line in text.splitlines()) <= 80
    text = exprag(*command, "--help").stdout
    names = {"run": RunConfig, "build": settings()["Training rows"], "train": settings()["Recipes of training"]}
    for name in names[command[-1]].model_fields if command[-1] in names else ():
        if name not in ("agent", "name"):
            assert f"--{name.replace('_', '-')}" in text
    assert {"run": "Memory in the prompt", "train": "Recipe", "build": "Episodes"}.get(command[-1], "Tasks") in text


def test_the_line_of_each_command_in_the_list_is_true_of_the_command() -> None:
    listed = exprag("--help").stdout
    for name, (_, line) in COMMANDS.items():
        assert f" {name} " in listed
        assert line in exprag(name, "--help").stdout


def test_the_table_of_the_documentation_is_up_to_date(root: Path) -> None:
    text = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page(text, reference(settings())) == text, "run: python -m exprag.cli.reference docs/configuration.md"
    with pytest.raises(ValueError, match="has no lines"):
        page("", "")
