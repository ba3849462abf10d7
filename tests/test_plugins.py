from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from exprag import hookimpl, plugins
from exprag.cli.plugins import rows
from exprag.errors import ConfigError, PluginError
from exprag.hookspecs import Register
from exprag.plugins import Component, Registry, registry


class Good:
    @hookimpl
    def register_environments(self, register: Register) -> None:
        register("toy", "toy:Toy", description="for tests")
        register("needy", "nowhere:Env", requires=("a_module_that_is_not_there",), extra="needy")
        register("checked", "toy:Toy", check=lambda: "no data: run get-data")
        register("lost", "toy:Missing")


class HalfBroken:
    @hookimpl
    def register_environments(self, register: Register) -> None:
        raise RuntimeError("no luck")

    @hookimpl
    def register_formatters(self, register: Register) -> None:
        register("fine", "toy:Toy")


class UnknownHook:
    @hookimpl
    def register_teapots(self, register: Register) -> None: ...


def filled() -> Registry:
    fresh = Registry()
    fresh.add(Good(), "good-dist", "1.2")
    return fresh


def test_built_ins_come_through_the_entry_points(plugins_unloaded: None) -> None:
    found = registry()
    assert not [f for f in found.failures if f.distribution == "exprag"]
    assert {"chat_json"} <= set(found.names("formatter"))
    assert {"task", "trajectory"} <= set(found.names("query_strategy"))
    assert {"scienceworld", "alfworld"} <= set(found.names("environment"))
    assert {"act"} <= set(found.names("style"))
    assert {row["kind"] for row in rows(found)} == set(plugins.KINDS)
    assert {c.distribution for c in found.components} >= {"exprag"}


def test_create_imports_late_and_passes_options() -> None:
    assert filled().create("environment", "toy", size=3)._size == 3
    assert filled().get("environment", "good-dist/toy").version == "1.2"


def test_an_import_path_needs_no_plugin() -> None:
    assert filled().create("environment", "toy:Toy").name == "toy"
    with pytest.raises(PluginError, match="could not be imported"):
        filled().create("environment", "toy:Nobody")


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match=r"sise.*It takes: size"):
        filled().create("environment", "toy", sise=3)


def test_an_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(PluginError, match="Did you mean 'toy'"):
        filled().get("environment", "tow")


def test_a_missing_extra_has_its_cure() -> None:
    with pytest.raises(PluginError, match=r"pip install 'good-dist\[needy\]'"):
        filled().create("environment", "needy")
    statuses = {row["id"]: row["status"] for row in rows(filled())}
    assert "pip install 'good-dist[needy]'" in statuses["needy"]
    assert statuses["checked"] == "no data: run get-data"
    assert statuses["toy"] == "ok"


def test_a_hook_that_raises_stops_nothing_else() -> None:
    fresh = filled()
    fresh.add(HalfBroken(), "half", "0")
    assert fresh.names("formatter") == ["fine"]
    assert "no luck" in fresh.failures[0].reason
    with pytest.raises(PluginError, match="no luck"):
        fresh.get("environment", "what-half-would-have-brought")


def test_an_unknown_hook_is_refused() -> None:
    with pytest.raises(Exception, match="teapots"):
        Registry().add(UnknownHook(), "odd", "0")
    with pytest.raises(PluginError, match="no hook"):
        Registry().add(types.SimpleNamespace(), "none", "0")


def test_a_name_that_two_bring_must_be_qualified() -> None:
    fresh = filled()
    fresh.add(Good(), "other-dist", "2")
    with pytest.raises(PluginError, match="good-dist/toy or other-dist/toy"):
        fresh.get("environment", "toy")
    assert fresh.get("environment", "other-dist/toy").version == "2"


def test_each_entry_point_is_loaded_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("broken", "a_module_that_is_not_there", "exprag"),
        EntryPoint("formatters", "exprag_formatters", "exprag"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    fresh = Registry()
    fresh.load_entry_points()
    assert fresh.names("formatter")
    assert "ModuleNotFoundError" in fresh.failures[0].reason
    only = Registry()
    only.load_entry_points(["broken"])
    assert not only.components


@pytest.mark.parametrize("setting", ["", "none"])
def test_load_plugins_none(setting: str, plugins_unloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRAG_LOAD_PLUGINS", setting)
    assert registry().components == []


def test_load_plugins_only_some(plugins_unloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRAG_LOAD_PLUGINS", "formatters")
    assert {c.kind for c in registry().components} == {"formatter"}


def test_trace_says_who_answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EXPRAG_TRACE_PLUGINS", "1")
    filled().get("environment", "toy")
    assert "answered by good-dist/toy 1.2" in capsys.readouterr().err


# -- plugins that exit, print, register nonsense, or take a built-in's name


class Exits:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    @hookimpl
    def register_environments(self, register: Register) -> None:
        raise self.error

    @hookimpl
    def register_formatters(self, register: Register) -> None:
        register("fine", "toy:Toy")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Unprintable()])
def test_a_hook_that_exits_stops_nothing_else(error: BaseException) -> None:
    fresh = Registry()
    fresh.add(Exits(error), "rude", "1")
    assert fresh.names("formatter") == ["fine"]
    assert type(error).__name__ in fresh.failures[0].reason


def test_a_ctrl_c_of_the_users_is_never_taken_for_the_plugins() -> None:
    class Slow:
        @hookimpl
        def register_environments(self, register: Register) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Registry().add(Slow(), "slow", "1")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("name", "about", "reason"),
    [
        (7, {}, "under the id 7"),
        (None, {}, "under the id None"),
        ("", {}, "under the id ''"),
        ("Guess", {}, "lower-case letters"),
        ("my env", {}, "lower-case letters"),
        ("a__b", {}, "single underscores"),
        ("evil[red]\x1b[2J", {}, r"evil\[red\]\\x1b"),
        ("x" * 500, {"description": 3}, "description of its environment"),
        ("other_dist/toy", {}, "lower-case letters"),
        ("toy:Toy", {}, "lower-case letters"),
        ("odd", {"description": ["a"]}, "description of its environment 'odd' must be text, not list"),
        ("odd", {"requires": "torch"}, "must be a tuple of module names"),
        ("odd", {"requires": (1,)}, "must be a tuple of module names"),
        ("odd", {"extra": None}, "extra of its environment 'odd' must be text"),
        ("odd", {"check": "no such thing"}, "`check` of its environment 'odd'"),
        ("odd", {"colour": "red"}, "colour, which `register` does not take"),
        ("odd", {"factory": "not a path"}, "The factory of its environment 'odd'"),
        ("odd", {"factory": None}, "The factory of its environment 'odd'"),
        ("good_one", {}, "registers the environment 'good_one' twice"),
    ],
)
def test_what_is_registered_wrongly_is_a_failure_and_the_rest_counts(name: Any, about: dict[str, Any], reason: str) -> None:
    class Odd:
        @hookimpl
        def register_environments(self, register: Any) -> None:
            register("good-one", "toy:Toy", description="two\nlines")
            register(name, about.pop("factory", "toy:Toy"), **about)
            register("another", "toy:Toy")

    fresh = Registry()
    fresh.add(Odd(), "odd", "1")
    assert fresh.names("environment") == ["another", "good-one"]
    assert fresh.get("environment", "good-one").description == "two lines"
    (failure,) = fresh.failures
    assert re.search(reason, failure.reason), failure.reason


def test_dashes_and_underscores_are_the_same() -> None:
    assert registry().get("environment", "alfworld_generated").name == "alfworld-generated"
    assert registry().get("query_strategy", "exprag/last-observation").name == "last_observation"


def test_a_built_in_keeps_its_short_name() -> None:
    class Taker:
        @hookimpl
        def register_formatters(self, register: Register) -> None:
            register("toy", "toy:Toy", description="mine")

    class BuiltIn:
        @hookimpl
        def register_formatters(self, register: Register) -> None:
            register("toy", "toy:Toy", description="the built-in")

    fresh = Registry()
    fresh.add(Taker(), "taker", "1")
    fresh.add(BuiltIn(), "exprag", "0")
    assert fresh.get("formatter", "toy").description == "the built-in"
    assert fresh.get("formatter", "taker/toy").description == "mine"
    descriptions = {row["distribution"]: row["description"] for row in rows(fresh)}
    assert descriptions == {"exprag": "the built-in", "taker": "mine (write taker/toy: the short name is a built-in's)"}


@pytest.mark.parametrize("answer", [7, SystemExit(2), KeyboardInterrupt(), Unprintable()])
def test_a_check_that_misbehaves_is_a_problem(answer: Any) -> None:
    def check() -> Any:
        print("checking")
        if isinstance(answer, BaseException):
            raise answer
        return answer

    component = Component("environment", "odd", "toy:Toy", "odd", check=check)
    assert component.problem() == (
        "its check gave a int, not text or None" if answer == 7 else f"its check failed: {describe_kind(answer)}"
    )


def describe_kind(error: BaseException) -> str:
    return "SystemExit: 2" if isinstance(error, SystemExit) else type(error).__name__


def test_a_factory_that_exits_is_named_with_its_distribution() -> None:
    def leave() -> None:
        raise SystemExit("bye")

    component = Component("formatter", "rude", leave, "exprag-rude")
    with pytest.raises(PluginError, match="formatter 'rude' of exprag-rude could not be made: SystemExit: bye") as error:
        component.create()
    assert "exprag validate formatter rude" in error.value.cure
    assert isinstance(error.value.__cause__, SystemExit)


PACKAGES = {
    "exits_early": "raise SystemExit(5)",
    "interrupts": "raise KeyboardInterrupt",
    "chatters": (
        "import sys\nprint('hello from a plugin')\nsys.stdout.write('and more')\nimport exprag\n"
        "@exprag.hookimpl\ndef register_formatters(register):\n"
        "    print('registering')\n    register('chat_json', 'toy:Toy')\n    register('[b]bold', 'toy:Toy')\n"
    ),
}


def test_installed_plugins_that_misbehave_disturb_no_command(tmp_path: Path) -> None:
    for name, code in PACKAGES.items():
        (tmp_path / f"{name}.py").write_text(code + "\n")
        about = tmp_path / f"{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[exprag]\n{name} = {name}\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "exprag", "plugins", "--json"]
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    listed = json.loads(outcome.stdout)
    failed = {row["id"]: row["status"] for row in listed if row["kind"] == "plugin" and row["status"].startswith("failed")}
    assert set(failed) == {"exits_early", "interrupts", "chatters"}
    assert "SystemExit: 5" in failed["exits_early"]
    assert "KeyboardInterrupt" in failed["interrupts"]
    assert "hello from a plugin" in outcome.stderr
    assert {row["distribution"] for row in listed if row["id"] == "chat_json"} == {"exprag", "chatters"}
    run = ["run", "--env", "alfworld-generated", "--limit", "1", "--max-steps", "1", "--workers", "0", "--out", f"{tmp_path}/run"]
    subprocess.run([sys.executable, "-m", "exprag", *run], env=environment, check=True, capture_output=True, timeout=240)
