"""Files of others run no code: a test for each kind of file that may come from somebody else, see SECURITY.md.

The booby trap is a module that writes a file when it is imported, and again when its class is made.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import exprag

from exprag.bank import Bank
from exprag.bank.keys import strategy_plugin
from exprag.config import AgentConfig
from exprag.errors import ConfigError, PluginError, RecordError
from exprag.evaluation.audit import audit
from exprag.models.cards import Base, Card, differences
from exprag.plugins import create, create_registered
from exprag.prompt.examples import worked_examples
from exprag.runs import RunConfig, RunDirectory
from exprag.training import build_rows, rollout_config
from exprag.training.rows.config import DataConfig
from exprag.training.rows.description import Description
from exprag.trajectory import Step, Task, Trajectory
from exprag.trusted_code import named_code

TRAP = "booby_trap:Trap"
BUILT_IN_CODE = ("os:system", "subprocess:getoutput", "builtins:eval", "exprag.trajectory:Task", "json:loads")
FIELDS: dict[str, dict[str, Any]] = {
    "environment": {"environment": TRAP},
    "agent.strategy": {"agent": {"strategy": TRAP}},
    "agent.key_strategy": {"agent": {"key_strategy": TRAP}},
    "agent.selector": {"agent": {"selector": TRAP}},
    "agent.formatter": {"agent": {"formatter": TRAP}},
    "agent.style": {"agent": {"style": TRAP}},
    "agent.formatter_options.formatter": {"agent": {"formatter": "abbreviated", "formatter_options": {"formatter": TRAP}}},
    "environment_options.options.environment": {
        "environment": "drift",
        "environment_options": {"environment": "drift", "options": {"environment": TRAP}},
    },
    "model?style": {"model": f"case-based?style={TRAP}"},
    "graph": {"graph": TRAP},
    "learn_rule": {"learn": "all", "learn_rule": TRAP},
}


@pytest.fixture(autouse=True)
def sprung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The file that the trap writes; the test fails if it is there at its end."""
    mark = tmp_path / "sprung"
    (tmp_path / "booby_trap.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Trap: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield mark
    sys.modules.pop("booby_trap", None)
    assert not mark.exists(), "a file's code has run"


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)


def with_field(values: dict[str, Any]) -> dict[str, Any]:
    return {"environment": "alfworld-generated", "limit": 1, "workers": 0, **values}


def test_the_trap_works(sprung: Path) -> None:
    with pytest.raises(ConfigError, match="not a class that implements TextEnvironment"):
        create("environment", TRAP)
    assert sprung.exists()
    sprung.unlink()


# -- run configurations


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_a_configuration_names_no_code(field: str, suffix: str, tmp_path: Path) -> None:
    values = with_field(FIELDS[field])
    file = tmp_path / f"run.{suffix}"
    lines = [f"{name} = {toml(value)}" for name, value in values.items()]
    file.write_text(json.dumps(values) if suffix == "json" else "\n".join(lines))
    with pytest.raises(ConfigError) as refusal:
        RunConfig.read(file)
    assert str(file) in str(refusal.value)
    assert f"{field}: " in str(refusal.value)
    shown = exprag("run", "--config", file, "--out", tmp_path / "run")
    assert (shown.exit_code, (tmp_path / "run").exists()) == (1, False)
    assert field in " ".join(shown.stderr.split())


@pytest.mark.parametrize("name", ["key", "strategy"])
def test_names_of_version_0_1_beside_the_others_are_looked_at_too(name: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(with_field({name: TRAP})))
    with pytest.raises(ConfigError, match="names code"):
        RunConfig.read(file)


def test_what_is_no_code_passes(tmp_path: Path) -> None:
    values = with_field(
        {
            "environment_options": {"url": "http://localhost:8000", "disk": "C:\\games", "time": "12:30", "judge": "openai:o1"},
            "model": "openai:gpt4",
            "bank": "s3:bank",
            "name": "a:b",
            "task_ids": ["train:one"],
            "agent": {"examples": "bank:3", "selector": "rerank", "selector_options": {"model": "case-based"}},
        }
    )
    file = tmp_path / "run.json"
    file.write_text(json.dumps(values))
    assert not list(named_code(RunConfig.read(file)))


def test_the_user_may_allow_it(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(with_field({"environment": "toy:Toy", "graph": "mine.py:graph"})))
    assert RunConfig.read(file, allow_code=True).environment == "toy:Toy"
    with pytest.raises(ConfigError, match=r"graph: 'mine\.py:graph'"):
        RunConfig.read(file, environment="toy:Toy")
    assert RunConfig.read(file, environment="toy:Toy", graph="mine.py:graph").graph == "mine.py:graph"
    assert RunConfig.read(file, environment="alfworld-generated", graph=None).graph is None  # what is replaced does not count
    file.write_text(json.dumps(with_field({"environment": "toy:Toy", "max_steps": 1})))
    assert exprag("run", "--config", file, "-o", tmp_path / "refused").exit_code == 1
    assert exprag("run", "--config", file, "--allow-code", "-o", tmp_path / "allowed").exit_code == 0
    assert exprag("tasks", "--config", file, "--env", "toy:Toy").exit_code == 0


@pytest.mark.parametrize("kind", ["environment", "query_strategy", "selector", "formatter", "style"])
@pytest.mark.parametrize("path", BUILT_IN_CODE)
def test_even_where_it_is_allowed_only_a_class_of_the_contract_is_called(kind: str, path: str, tmp_path: Path) -> None:
    mark = tmp_path / "called"
    with pytest.raises(ConfigError, match="not a class that implements"):
        create(kind, path, command=f"touch {mark}", cmd=f"touch {mark}")
    assert not mark.exists()


def test_an_unfinished_class_is_named() -> None:
    with pytest.raises(ConfigError, match="does not implement format"):
        create("formatter", "exprag.contracts:Formatter")


@pytest.mark.parametrize("path", ["os.path:join:x", "os :system", "my-module:Env", "openai:o1", ":", "a:"])
def test_what_readers_of_files_let_pass_is_never_imported(path: str) -> None:
    with pytest.raises(PluginError, match=r"not an import path|spec of a model"):
        create("environment", path)


# -- run directories


@pytest.fixture
def foreign_run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    agent = dict.fromkeys(("strategy", "selector", "formatter", "style"), TRAP)
    config = {"environment": TRAP, "graph": TRAP, "learn": "all", "learn_rule": TRAP, "agent": agent, "bank": None}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "episodes.jsonl").write_text(episode(TRAP).to_json() + "\n")
    (folder / "versions.json").write_text("{}")
    return folder


def episode(environment: str = "toy") -> Trajectory:
    task = Task(environment=environment, id="1", split="train", type="fetch", instruction="fetch the mug")
    return Trajectory(task=task, steps=(Step(observation="You see a mug.", action="take mug"),), success=True, score=1.0)


COMMANDS = [("report",), ("audit",), ("run", "--config"), ("collect", "--config"), ("tasks", "--config")]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_directory_names_no_code(command: tuple[str, ...], foreign_run: Path, tmp_path: Path) -> None:
    place = foreign_run / "config.json" if "--config" in command else foreign_run
    exprag(*command, place, *(("--out", tmp_path / "out") if command[0] in ("run", "collect") else ()))
    with pytest.raises(ConfigError, match="names code"):
        RunDirectory(foreign_run).config()


def test_auditing_somebodys_run_runs_nothing(foreign_run: Path) -> None:
    assert audit(foreign_run).checked == 1


# -- adapter cards, data sets


def card(**fields: Any) -> Card:
    return Card(base=Base(name="base"), **fields)


def test_a_card_names_no_code(tmp_path: Path) -> None:
    agent = AgentConfig(strategy=TRAP, selector=TRAP)
    card(environment=TRAP, agent=agent, rows={"config": {"agent": agent.model_dump(mode="json")}}).write(tmp_path)
    with pytest.raises(ConfigError, match="names code"):
        rollout_config(tmp_path)
    with pytest.raises(ConfigError, match=r"agent\.strategy"):
        rollout_config(tmp_path, environment="toy:Toy")
    read = Card.read(tmp_path)  # what it says may be read and compared, and nothing is made of it
    assert any("strategy" in difference for difference in differences(read, AgentConfig(), memory=False)) is False


def test_the_options_of_a_card_name_no_code(tmp_path: Path) -> None:
    options = {"environment": "drift", "options": {"environment": TRAP}}
    card(environment="drift", rows={"config": {"environment_options": options}}).write(tmp_path)
    with pytest.raises(ConfigError, match="environment_options"):
        rollout_config(tmp_path)


def test_a_card_is_taken_where_the_user_names_its_code(tmp_path: Path) -> None:
    card(environment="toy:Toy").write(tmp_path)
    assert rollout_config(tmp_path, environment="toy:Toy").environment == "toy:Toy"


def test_a_dataset_names_no_code(tmp_path: Path) -> None:
    about = Description(config=DataConfig.make(strategy=TRAP), environments={TRAP: "x"})
    (tmp_path / "dataset.json").write_text(about.model_dump_json())
    with pytest.raises(ConfigError, match="names code"):
        rollout_config(tmp_path)
    assert exprag("data", "stats", tmp_path).exit_code in (0, 1)


def test_a_set_of_tasks_names_no_code(tmp_path: Path) -> None:
    from exprag.cli.train import task_sets

    (tmp_path / "adapter").mkdir()
    card(environment="alfworld-generated").write(tmp_path / "adapter")
    easy = tmp_path / "easy.toml"
    easy.write_text(f'environment = "{TRAP}"\n')
    with pytest.raises(ConfigError, match=r"easy\.toml: environment"):
        task_sets([easy], tmp_path / "adapter")
    assert task_sets([easy], tmp_path / "adapter", allow_code=True)["easy"].environment == TRAP


# -- trajectories and banks


def test_trajectories_name_no_code(tmp_path: Path) -> None:
    rows = build_rows([episode(TRAP)], None, DataConfig.make(k=0), tokenizer=None)
    with pytest.raises(PluginError, match="names code"):
        list(rows)


def test_a_bank_names_no_code(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot name the keys of a bank"):
        Bank.create(tmp_path / "bank", strategies=(TRAP,))
    bank = Bank.create(tmp_path / "bank", strategies=("task",))
    bank.add([episode(TRAP)])
    assert [trajectory.task.environment for trajectory in Bank.open(tmp_path / "bank").trajectories()] == [TRAP]


def test_the_keys_of_a_bank_name_no_code() -> None:
    with pytest.raises(ConfigError, match="cannot name the keys of a bank"):
        strategy_plugin(TRAP)


def test_examples_are_data(tmp_path: Path, sprung: Path) -> None:
    for file in (tmp_path / "booby_trap.py", tmp_path / "pickled"):
        if not file.exists():
            file.write_bytes(b"\x80\x04c__builtin__\neval\n(S\"open('" + str(sprung).encode() + b"', 'w')\"\ntR.")
        with pytest.raises(RecordError):
            worked_examples(str(file), "toy", None)


def test_the_page_names_tests_that_are_there(root: Path) -> None:
    places = re.findall(r"`(tests/[\w/.]+)`", (root / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(places) > 8
    assert [place for place in places if not (root / place).is_file()] == []


@pytest.mark.parametrize("make", [create_registered])
def test_names_from_files_are_names_of_plugins(make: Callable[..., Any]) -> None:
    with pytest.raises(PluginError, match="names code"):
        make("formatter", TRAP)
    assert make("formatter", "chat_json")
