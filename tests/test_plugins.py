from __future__ import annotations

import types
from importlib.metadata import EntryPoint

import pytest

from exprag import hookimpl, plugins
from exprag.cli.plugins import rows
from exprag.errors import ConfigError, PluginError
from exprag.hookspecs import Register
from exprag.plugins import Registry, registry


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
