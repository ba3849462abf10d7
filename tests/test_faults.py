"""A plugin's fault is described in one way wherever it shows: kind, id, distribution, and the command that checks it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from exprag import faults
from exprag.bank.keys import strategy_plugin
from exprag.config import AgentConfig
from exprag.contracts import Formatter, Moment, QueryStrategy, Selector
from exprag.environments import calls
from exprag.errors import EnvError, ExpragError, RetrievalError, RunError
from exprag.plugins import Component, create, registry
from exprag.prompt.block import build_block
from exprag.retrieval import Retriever
from exprag.testing.material import candidates, ordinary
from toy import Toy


class Short(Selector):
    def select(self, candidates: Any, k: int, moment: Moment) -> Any:
        raise ValueError("no luck")


class Loud(Formatter):
    def format(self, trajectory: Any) -> str:
        raise SystemExit("no luck")


class Odd(QueryStrategy):
    def key(self, trajectory: Any) -> str:
        return str(trajectory.task.instruction)

    def query(self, moment: Moment) -> Any:
        return 7


class Dead(Toy):
    def step(self, action: str) -> Any:
        raise ValueError("no luck")


class Unregistered(Loud):
    pass


KINDS = {"selector": Short, "formatter": Loud, "query_strategy": Odd, "environment": Dead}


@pytest.fixture
def registered() -> Iterator[None]:
    """Plugins of a distribution exprag-bad with faults, one of each kind, all with the id `bad`."""
    components = [Component(kind, "bad", factory, "exprag-bad", "1") for kind, factory in KINDS.items()]
    registry().components.extend(components)
    yield
    for component in components:
        registry().components.remove(component)
    strategy_plugin.cache_clear()


def provoke(kind: str, bank: Any, plugin: Any) -> None:
    episode = ordinary()[0]
    moment = Moment(episode.task, (), "a room")
    if kind == "selector":
        Retriever(bank, "task", plugin, k=1).retrieve(moment)
    elif kind == "formatter":
        build_block(candidates([episode]), plugin)
    elif kind == "query_strategy":
        Retriever(bank, plugin, k=1, key_strategy="task").retrieve(moment)
    else:
        calls.step(plugin, "look", calls.Outcome(""))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_named_in_one_way(kind: str, registered: None, tmp_path: Any) -> None:
    from exprag.bank import Bank

    bank = Bank.create(tmp_path / "bank")
    bank.add(ordinary())
    with pytest.raises(ExpragError) as caught:
        provoke(kind, bank, create(kind, "bad"))
    assert caught.value.message.startswith(f"The {kind.replace('_', ' ')} 'bad' of exprag-bad ")
    command = {"environment": "env", "query_strategy": "strategy"}.get(kind, kind)
    assert f"Check it (exprag validate {command} bad), and report it to exprag-bad." in caught.value.cure
    assert isinstance(caught.value, EnvError if kind == "environment" else RetrievalError)
    if kind != "query_strategy":  # it raises nothing: it answers wrongly
        assert "no luck" in str(caught.value.__cause__)


def test_what_nobody_registered_is_named_by_its_class_with_the_import_path() -> None:
    assert faults.name_component("formatter", Unregistered()) == "formatter 'Unregistered'"
    assert faults.advise("formatter", Unregistered()) == f"Check it: exprag validate formatter {__name__}:Unregistered"
    assert faults.name_component("environment", Toy()) in ("environment 'toy'", "environment 'toy:Toy'")

    class Local(Loud):
        pass

    assert faults.advise("formatter", Local()) == "Report it to the author of the formatter."
    assert faults.name_component("selector", "no_such_one") == "selector 'no_such_one'"


def test_a_built_in_is_named_with_its_distribution() -> None:
    formatter = AgentConfig().make_formatter()
    assert faults.name_component("formatter", formatter) == "formatter 'chat_json' of exprag"
    assert faults.name_component("formatter", "chat_json") == "formatter 'chat_json' of exprag"


def test_a_traceback_is_logged_once_for_each_place(caplog: pytest.LogCaptureFixture) -> None:
    def fault() -> RunError:
        try:
            raise ValueError("one of a kind")
        except ValueError as cause:
            error = RunError("It broke.")
            error.__cause__ = cause
            return error

    with caplog.at_level(logging.WARNING, "exprag.faults"):
        for _ in range(3):
            faults.log_fault(fault())
        faults.log_fault(RunError("nothing behind it"))
    assert [record.getMessage() for record in caplog.records] == ["It broke."]
    assert "one of a kind" in caplog.text
