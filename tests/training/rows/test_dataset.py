"""Datasets on disk: three formats, one content; what is written down; what TRL makes of them; the commands."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Result, call
from tiny import make_model

from exprag.bank import Bank
from exprag.cli import data as cli
from exprag.errors import ConfigError, PluginError, RunError
from exprag.files import write_jsonl
from exprag.models.tokens import tokenizer_hash
from exprag.training import (
    DataConfig,
    build_rows,
    check_tokenizer,
    describe_dataset,
    load_dataset,
    read_rows,
    tokenize_rows,
    write_dataset,
)
from exprag.trajectory import Task, Trajectory
from toy import Toy

FORMATS = ("rows", "rows.parquet", "rows.jsonl")


def make(path: Path, episodes: list[Trajectory], bank: Bank | None, tokenizer: Any = None, **choices: Any) -> Any:
    return write_dataset(path, build_rows(episodes, bank, DataConfig.make(**choices), Toy(), tokenizer))


@pytest.mark.parametrize("tokenized", [True, False])
def test_the_formats_hold_the_same(
    tokenized: bool, toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any, tmp_path: Path
) -> None:
    descriptions, contents, tables = [], [], []
    for name in FORMATS:
        about = make(tmp_path / name, toy_episodes, toy_bank, tokenizer if tokenized else None)
        assert describe_dataset(tmp_path / name) == about
        descriptions.append(about.model_copy(update={"created": ""}))
        contents.append(list(read_rows(tmp_path / name)))
        tables.append(load_dataset(tmp_path / name).to_list())
    assert descriptions[0] == descriptions[1] == descriptions[2]
    assert contents[0] == contents[1] == contents[2] == tables[0] == tables[1] == tables[2]
    rows = build_rows(toy_episodes, toy_bank, DataConfig.make(), Toy(), tokenizer if tokenized else None)
    expected = [row.to_dict() for row in rows]
    if not tokenized:
        expected = [{k: v for k, v in row.items() if k not in ("input_ids", "labels")} for row in expected]
    assert contents[0] == expected
    assert Task.from_json(contents[0][0]["task"]) == toy_episodes[0].task
    names = set(FORMATS) | {f"{name}.dataset.json" for name in FORMATS[1:]}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_the_description_says_how_it_was_made(
    toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any, tmp_path: Path
) -> None:
    about = make(tmp_path / "rows.jsonl", toy_episodes, toy_bank, tokenizer, k=1, placement="tail")
    assert (about.config.agent.k, about.config.agent.placement) == (1, "tail")
    assert about.bank is not None
    assert (about.bank.uri, about.bank.version) == (toy_bank.uri, toy_bank.version)
    assert about.tokenizer is not None
    assert (about.tokenizer.hash, about.tokenizer.end_of_turn) == (tokenizer_hash(tokenizer), "</s>")
    assert about.environments == {"toy": Toy().fingerprint()}
    assert {"exprag", "transformers", "lancedb"} <= set(about.packages)
    assert (about.report["rows"], about.report["left_out"]) == (16, {})
    assert about.longest == max(len(row["input_ids"]) for row in read_rows(tmp_path / "rows.jsonl"))


def test_tokenizing_later_gives_the_same_ids(
    toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any, tmp_path: Path
) -> None:
    make(tmp_path / "plain", toy_episodes, toy_bank)
    make(tmp_path / "ready", toy_episodes, toy_bank, tokenizer)
    before = sorted(path.name for path in (tmp_path / "plain").iterdir())
    later, report = tokenize_rows(load_dataset(tmp_path / "plain"), tokenizer)
    ready = load_dataset(tmp_path / "ready")
    assert later.to_list() == ready.to_list()
    assert later.features == ready.features
    assert report.longest == describe_dataset(tmp_path / "ready").longest
    some, short = tokenize_rows(ready, tokenizer, max_tokens=report.longest - 1)
    assert 0 < len(some) == short.rows < 16
    assert short.dropped == {f"longer than {report.longest - 1} tokens": 16 - len(some)}
    with pytest.raises(ConfigError, match="longer than 50 tokens"):
        tokenize_rows(ready, tokenizer, max_tokens=50)
    assert sorted(path.name for path in (tmp_path / "plain").iterdir()) == before  # nothing is cached beside the rows


def test_a_dataset_of_another_tokenizer_is_refused(
    toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any, marked_tokenizer: Any, tmp_path: Path
) -> None:
    about = make(tmp_path / "rows.jsonl", toy_episodes[:2], toy_bank, tokenizer)
    check_tokenizer(about, tokenizer)
    with pytest.raises(ConfigError, match="built with another tokenizer"):
        check_tokenizer(about, marked_tokenizer)


@pytest.mark.slow
@pytest.mark.parametrize("packing", [False, True])
def test_trl_takes_it_as_it_is(
    packing: bool, toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any, tmp_path: Path
) -> None:
    trl = pytest.importorskip("trl")
    about = make(tmp_path / "rows", toy_episodes, toy_bank, tokenizer, refresh="every_step", strategy="trajectory")
    rows = load_dataset(tmp_path / "rows")
    config = trl.SFTConfig(
        output_dir=str(tmp_path / "out"),
        max_length=2 * about.longest if packing else None,
        packing=packing,
        bf16=False,
        use_cpu=True,
        max_steps=1,
        per_device_train_batch_size=1,
        report_to=[],
        save_strategy="no",
    )
    folder = make_model(tmp_path / "model", tokenizer, max_position_embeddings=2 * about.longest)
    trainer = trl.SFTTrainer(model=str(folder), args=config, train_dataset=rows, processing_class=tokenizer)
    dataset = trainer.train_dataset
    if packing:
        lengths = [length for row in dataset for length in row["seq_lengths"]]
        assert sorted(lengths) == sorted(len(row["input_ids"]) for row in rows)
        assert sum(label != -100 for row in dataset for label in row["labels"]) == about.report["learnt"]
    else:
        assert [(r["input_ids"], r["labels"]) for r in dataset] == [(r["input_ids"], r["labels"]) for r in rows]
    assert trainer.train().training_loss > 0


def test_nothing_is_left_where_building_fails(toy_bank: Bank, toy_episodes: list[Trajectory], tmp_path: Path) -> None:
    old = toy_episodes[3].model_copy(update={"fingerprint": "toy@9"})
    for name in FORMATS:
        with pytest.raises(ConfigError, match="toy@9"):
            make(tmp_path / name, [*toy_episodes[:3], old], toy_bank)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(toy_bank: Bank, toy_episodes: list[Trajectory], tmp_path: Path, monkeypatch: Any) -> None:
    rows = build_rows(toy_episodes, toy_bank, DataConfig.make(), Toy())

    def full(_: int, __: int | None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    rows._progress = full
    with pytest.raises(RunError, match="No space left"):
        write_dataset(tmp_path / "rows.parquet", rows)
    assert not list(tmp_path.iterdir())


def test_what_lies_there_is_kept(toy_bank: Bank, toy_episodes: list[Trajectory], tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows.jsonl").write_text("mine")
    for name, why in (("rows", "exists already"), ("rows.jsonl", "exists already"), ("rows.csv", "no such format")):
        with pytest.raises(ConfigError, match=why):
            make(tmp_path / name, toy_episodes, toy_bank)
    assert (tmp_path / "rows.jsonl").read_text() == "mine"


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a dataset"):
        list(read_rows(tmp_path))
    (tmp_path / "dataset.json").write_text('{"config": {"k": "many"}}')
    with pytest.raises(ConfigError, match=r"does not validate: config\.agent\.k"):
        describe_dataset(tmp_path)


def test_jsonl_and_parquet_need_no_extra(
    toy_bank: Bank, toy_episodes: list[Trajectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("datasets", "transformers", "torch", "trl", "peft", "accelerate"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in FORMATS[1:]:
        make(tmp_path / name, toy_episodes, toy_bank)
        assert len(list(read_rows(tmp_path / name))) == 16
    with pytest.raises(PluginError, match=r"pip install 'exprag\[train\]'"):
        make(tmp_path / "rows", toy_episodes, toy_bank)
    with pytest.raises(PluginError, match=r"pip install 'exprag\[train\]'"):
        cli.load_tokenizer("some/model")
    assert not (tmp_path / "rows").exists()


@pytest.fixture
def toy_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    from exprag.plugins import Component, registry

    component = Component("environment", "toy", Toy, "tests")
    monkeypatch.setattr(registry(), "components", [*registry().components, component])


def run(*arguments: object) -> Result:
    return call(*arguments)


@pytest.mark.usefixtures("toy_plugin")
def test_the_commands(toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "episodes.jsonl", toy_episodes[:4])
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    out = tmp_path / "rows.jsonl"
    options = ["--bank", toy_bank.uri, "-o", out, "-k", 1, "--empty-share", "1.0", "--types", "fetch,carry"]
    built = run("data", "build", tmp_path / "episodes.jsonl", toy_bank.uri, *options)
    assert built.exit_code == 0, built.output
    assert "16 rows of 16 episodes" in built.output
    assert "4 given twice" in built.output
    rows = run("data", "show", out, "-n", 2)
    assert rows.output.count("⟦go to") == 4
    assert "memory empty, K 1" in rows.output
    by_token = run("data", "show", out, "--tokenizer", tmp_path / "tokenizer")
    assert "⟦take mug</s>⟧" in by_token.output
    assert "<|system|>" in by_token.output
    stats = json.loads(run("data", "stats", out, "--json").output)
    assert stats["config"]["bank_version"] == stats["bank"]["version"] == toy_bank.version
    assert "empty_share: 1.0" in run("data", "stats", out).output
    clean = run("audit", out)
    assert (clean.exit_code, "0 that should not have been" in clean.output) == (0, True)


@pytest.mark.usefixtures("toy_plugin")
def test_the_commands_refuse(toy_bank: Bank, tmp_path: Path) -> None:
    for arguments, message in (
        ((tmp_path, "-o", tmp_path / "a.jsonl", "-k", 0), "holds no trajectories"),
        ((toy_bank.uri, "-o", tmp_path / "a.jsonl"), "no bank to recall from"),
        ((toy_bank.uri, "-o", tmp_path / "a.jsonl", "--set", "empty_share=1"), "not an option of the environment"),
        ((toy_bank.uri, "-o", tmp_path / "a.jsonl", "-k", 0, "--tokenizer", tmp_path / "none"), "There is no tokenizer"),
    ):
        with pytest.raises((ConfigError, PluginError), match=message):
            run("data", "build", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_model_folders_tokenizer_is_found(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert cli.load_tokenizer(str(make_model(tmp_path / "model"))).chat_template


STOPPED = """
import os, sys, time
from pathlib import Path
from exprag.environments.expert import play_expert
from exprag.training import DataConfig, build_rows, write_dataset
from toy import Toy

place, name, moment = sys.argv[1:]

def stop(*_):
    print("stopped", flush=True)
    time.sleep(600)

if moment == "between":  # the description is in place, the rows are not
    replace = Path.replace
    Path.replace = lambda self, target: stop() if self.name == name else replace(self, target)
toy = Toy()
episodes = [play_expert(toy, task, seed=1) for task in toy.tasks("train")]
progress = stop if moment == "building" else None
write_dataset(Path(place) / name, build_rows(episodes, None, DataConfig.make(k=0), toy, progress=progress))
"""


MOMENTS = [("rows.parquet", "building"), ("rows.jsonl", "building"), ("rows.jsonl", "between")]


@pytest.mark.parametrize(("name", "moment"), MOMENTS)
def test_what_a_kill_left_is_cleared_by_the_next_call(
    name: str, moment: str, toy_episodes: list[Trajectory], tmp_path: Path, root: Path
) -> None:
    """SIGKILL while rows are built, and between the two renames; while the other lives, it is not disturbed."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "tests"), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", STOPPED, str(tmp_path), name, moment]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "stopped\n"
            with pytest.raises(RunError, match="Another process writes"):
                make(tmp_path / name, toy_episodes, None, k=0)
        finally:
            child.kill()
    assert {path.name for path in tmp_path.iterdir()} >= {f".{name}.partial"}
    about = make(tmp_path / name, toy_episodes, None, k=0)
    assert about.report["rows"] == len(list(read_rows(tmp_path / name))) == 16
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.dataset.json"}


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_in_the_middle_of_a_file(name: str, toy_bank: Bank, toy_episodes: list[Trajectory], tmp_path: Path) -> None:
    """The limit on file sizes makes writes fail as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(RunError, match=r"(?i)cannot (be )?write|written"):
            make(tmp_path / name, toy_episodes, toy_bank)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
    make(tmp_path / name, toy_episodes, toy_bank)


def test_damaged_files_are_errors_with_a_place(toy_episodes: list[Trajectory], tmp_path: Path) -> None:
    for name in FORMATS:
        make(tmp_path / name, toy_episodes, None, k=0)
    (tmp_path / "rows.jsonl").write_bytes((tmp_path / "rows.jsonl").read_bytes()[:-100])
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    for arrow in (tmp_path / "rows").glob("*.arrow"):
        arrow.write_bytes(b"")
    for name, why in (("rows.jsonl", "line 16, is damaged"), ("rows.parquet", "cannot be read"), ("rows", "cannot be read")):
        with pytest.raises(RunError, match=why):
            list(read_rows(tmp_path / name))
        with pytest.raises(RunError, match="cannot be read"):
            load_dataset(tmp_path / name)


def test_a_description_of_somebody_else_is_kept(toy_episodes: list[Trajectory], tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.dataset.json").write_text("mine")
    with pytest.raises(ConfigError, match=r"rows\.jsonl\.dataset\.json exists already"):
        make(tmp_path / "rows.jsonl", toy_episodes, None, k=0)
    assert (tmp_path / "rows.jsonl.dataset.json").read_text() == "mine"
