from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from waiting import PATIENCE, start, wait_for

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, EnvError, PluginError, RunError
from exprag.runs import RunConfig, RunDirectory, choose_tasks, run
from exprag.trajectory import Trajectory
from toy import Toy


def config(**values: Any) -> RunConfig:
    return RunConfig.make(**{"environment": "toy:Toy", "workers": 0, **values})


def contents(path: Path) -> list[tuple[str, list[str], bool | None]]:
    """What the episodes of a run say, without times, in the order of their tasks."""
    return sorted((e.task.id, e.actions, e.success) for e in RunDirectory(path).episodes())


def test_tasks_are_chosen_as_the_configuration_says() -> None:
    toy = Toy()
    assert len(choose_tasks(toy, config())) == 8
    assert [t.id for t in choose_tasks(toy, config(per_type=1))] == ["test/0", "test/1"]
    assert {t.type for t in choose_tasks(toy, config(types=("carry",)))} == {"carry"}
    assert [t.id for t in choose_tasks(toy, config(task_ids=("train/3", "test/0")))] == ["train/3", "test/0"]
    drawn = [t.id for t in choose_tasks(toy, config(shuffle=True, limit=3, seed=1))]
    assert drawn == [t.id for t in choose_tasks(toy, config(shuffle=True, limit=3, seed=1))]
    assert drawn != [t.id for t in choose_tasks(toy, config(limit=3))]
    with pytest.raises(ConfigError, match="no tasks"):
        choose_tasks(toy, config(types=("none",)))


def test_experts_are_collected(tmp_path: Path) -> None:
    summary = run(config(policy="expert", split="train"), tmp_path / "r")
    assert (summary.episodes, summary.successes, summary.errors) == (8, 8, {})
    episode = RunDirectory(tmp_path / "r").episodes()[0]
    assert (episode.source, episode.provenance.run, episode.provenance.model) == ("expert", "r", "expert:walk")


def test_the_saved_configuration_runs_again_to_the_same_result(tmp_path: Path) -> None:
    run(config(model="case-based", limit=4, max_steps=5), tmp_path / "a")
    again = RunConfig.read(tmp_path / "a" / "config.json", allow_code=True)
    run(again, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    versions = json.loads((tmp_path / "a" / "versions.json").read_text())
    assert versions["fingerprint"] == Toy().fingerprint()
    assert versions["packages"]["exprag"]


def test_a_bank_is_pinned(tmp_path: Path) -> None:
    bank = Bank.create(str(tmp_path / "bank"))
    toy = Toy()
    tasks = list(toy.tasks("train"))
    bank.add([play_expert(toy, tasks[0])])
    run(config(bank=str(tmp_path / "bank"), limit=1, max_steps=3), tmp_path / "r")
    pinned = RunDirectory(tmp_path / "r").config(allow_code=True).bank_version
    bank.add([play_expert(toy, task) for task in tasks[1:]])
    # Continued after the bank grew: the version of the beginning stays in force.
    run(config(bank=str(tmp_path / "bank"), limit=1, max_steps=3), tmp_path / "r")
    assert RunDirectory(tmp_path / "r").config(allow_code=True).bank_version == pinned
    episode = RunDirectory(tmp_path / "r").episodes()[0]
    assert episode.provenance.bank_version == pinned
    assert len(episode.steps[0].recalled) == 1


def test_a_torn_line_is_cut_and_its_episode_played_again(tmp_path: Path) -> None:
    run(config(limit=3, max_steps=3), tmp_path / "r")
    whole = contents(tmp_path / "r")
    file = tmp_path / "r" / "episodes.jsonl"
    file.write_bytes(file.read_bytes()[:-40])
    assert run(config(limit=3, max_steps=3), tmp_path / "r").episodes == 3
    assert contents(tmp_path / "r") == whole


def test_a_torn_first_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    run(config(limit=1, max_steps=3), tmp_path / "r")
    file = tmp_path / "r" / "episodes.jsonl"
    file.write_bytes(file.read_bytes()[:40])
    assert run(config(limit=3, max_steps=3), tmp_path / "r").episodes == 3
    assert len(RunDirectory(tmp_path / "r").episodes()) == 3


class TwiceListed(Toy):
    """Lists each task twice."""

    def tasks(self, split: str, types: Any = None) -> Any:
        for task in super().tasks(split, types):
            yield from (task, task)


def test_a_task_that_is_listed_twice_is_played_once() -> None:
    assert [task.id for task in choose_tasks(TwiceListed(), config(limit=2))] == ["test/0", "test/1"]


def test_code_that_raises_whatever_it_likes_is_an_episode_with_an_error(tmp_path: Path) -> None:
    """Also where no boundary is crossed: in a style, which the graph calls in this very thread."""
    for workers in (0, 1):
        out = tmp_path / f"r{workers}"
        summary = run(config(style="stuck:Interrupting", limit=3, max_steps=3, workers=workers), out)
        assert (summary.episodes, summary.errors) == (3, {"plugin": 1})
        error = next(episode.error for episode in RunDirectory(out).episodes() if episode.error)
        assert "raised KeyboardInterrupt" in error.message
        assert "raise KeyboardInterrupt" in (out / "log.txt").read_text()


def test_another_experiment_is_refused(tmp_path: Path) -> None:
    run(config(limit=1, max_steps=2), tmp_path / "r")
    with pytest.raises(RunError, match=r"max_steps \(2 there, 3 now\)"):
        run(config(limit=1, max_steps=3), tmp_path / "r")
    run(config(limit=1, max_steps=2, workers=1), tmp_path / "r")  # the number of workers changes no result
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="not empty"):
        run(config(), tmp_path / "full")


def test_errors_are_data_and_can_be_played_again(tmp_path: Path) -> None:
    broken = config(environment_options={"die_at": 1}, limit=2, max_steps=3)
    assert run(broken, tmp_path / "r").errors == {"environment": 2}
    assert run(broken, tmp_path / "r").episodes == 2
    played: list[Trajectory] = []
    run(broken, tmp_path / "r", retry_errors=True, progress=lambda d, t, e: played.append(e) if e else None)
    assert len(played) == 2
    assert "The toy died" in (tmp_path / "r" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"environment": "nowhere"}, PluginError),
        ({"environment_options": {"sise": 1}}, ConfigError),
        ({"task_ids": ("test/77",)}, EnvError),
        ({"model": "rekall"}, ConfigError),
        ({"bank": "no-such-bank"}, Exception),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_what_would_fail_every_episode_stops_the_run(
    values: dict[str, Any], error: type[Exception], workers: int, tmp_path: Path
) -> None:
    with pytest.raises(error):
        run(config(workers=workers, **values), tmp_path / "r")
    assert RunDirectory(tmp_path / "r").episodes() == []
    assert run(config(limit=1, max_steps=1), tmp_path / "r").episodes == 1  # corrected, the same folder will do


def test_bad_configurations_name_the_field(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"k: .*greater than or equal to 0"):
        config(k=-1)
    (tmp_path / "c.toml").write_text('environment = "toy:Toy"\nkk = 3\n')
    with pytest.raises(ConfigError, match="kk"):
        RunConfig.read(tmp_path / "c.toml")
    (tmp_path / "c.toml").write_text("environment = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        RunConfig.read(tmp_path / "c.toml")


def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    run(config(limit=6, max_steps=4), tmp_path / "one")
    summary = run(config(limit=6, max_steps=4, workers=2), tmp_path / "two")
    assert summary.episodes == 6
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_worker_that_crashes_costs_one_episode_at_most(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    once = config(environment_options={"crash_at": 1, "crash_once": str(flag)}, limit=2, max_steps=3, workers=1)
    assert run(once, tmp_path / "once").errors == {}
    always = config(environment_options={"crash_at": 1}, limit=2, max_steps=3, workers=1)
    summary = run(always, tmp_path / "always")
    assert (summary.episodes, summary.errors) == (2, {"environment": 2})
    assert "worker process died" in RunDirectory(tmp_path / "always").episodes()[0].error.message  # type: ignore[union-attr]


SCRIPT = """
from exprag.runs import RunConfig, run
if __name__ == "__main__":
    options = {"what": "hang", "task": "test/5", "sign": "sign", "once": True}
    run(RunConfig.make(environment="stuck:Stuck", environment_options=options, max_steps=6, workers=2), "r")
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_is_completed_by_the_same_command(how: int, tmp_path: Path) -> None:
    """At most the episodes in flight are lost, no worker outlives the run, and nothing is there twice."""
    process = start(SCRIPT, tmp_path)
    wait_for(tmp_path / "sign", process)  # a worker stands in a step of the sixth task
    children = psutil.Process(process.pid).children(recursive=True)
    episodes = tmp_path / "r" / "episodes.jsonl"
    before = episodes.read_bytes()
    process.send_signal(how)
    process.communicate(timeout=PATIENCE)
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    assert 3 <= before.count(b"\n") < 8
    again = start(SCRIPT, tmp_path)
    _, errors = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, errors
    assert episodes.read_bytes().startswith(before)
    ids = [e.task.id for e in RunDirectory(tmp_path / "r").episodes()]
    assert sorted(ids) == sorted(t.id for t in Toy().tasks("test"))
    run(config(max_steps=6), tmp_path / "undisturbed")
    assert contents(tmp_path / "r") == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize("workers", [0, 1])
def test_the_log_has_the_traceback_of_a_plugins_fault_once(workers: int, tmp_path: Path) -> None:
    style = "broken_style:Broken"
    (tmp_path / "broken_style.py").write_text(
        "from exprag_styles.act import Act\n"
        "class Broken(Act):\n"
        "    def parse(self, response, templates):\n"
        "        if response == 'look':\n"
        "            return super().parse(response, templates)\n"
        "        raise ValueError('no idea')\n"
    )
    code = (
        "import sys\n"
        "from exprag.runs import RunConfig, run\n"
        "if __name__ == '__main__':\n"
        f"    run(RunConfig.make(environment='toy:Toy', style={style!r}, limit=3, workers={workers}), sys.argv[1])\n"
    )
    (tmp_path / "play.py").write_text(code)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    command = [sys.executable, str(tmp_path / "play.py"), str(tmp_path / "run")]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path}, timeout=120)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.count("Traceback") == 1
    assert "raise ValueError('no idea')" in log
    assert "The style 'broken_style:Broken' could not read a turn" in log
    assert [episode.error.boundary for episode in RunDirectory(tmp_path / "run").episodes()] == ["plugin"] * 3
