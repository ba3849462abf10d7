"""Parquet and datasets: nothing is lost, and bad rows are named."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exprag import Step, Task, Trajectory
from exprag.bank import Bank, Filter
from exprag.errors import BankError, ConfigError
from exprag.integrations.files import export_bank, from_dataset, import_file, to_dataset

ODD = Trajectory(
    task=Task(environment="e", id="odd", instruction="half \ud83d a character", metadata={"x": [1, None, {"y": "é"}]}),
    steps=(Step(observation="\x1b[1m\u2028", action="", thought="t", reward=-0.5, valid=False, note="n"),),
    success=None,
    score=None,
    ended="error",
)


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl", "out"])
def test_round_trip(bank, tmp_path, name):
    bank.add([ODD])
    assert export_bank(bank, tmp_path / name) == 5
    other = Bank.create(tmp_path / "other")
    report = import_file(other, tmp_path / name)
    assert (report.added, report.quarantined, report.bad) == (5, 5, ())
    assert {t.id: t for t in other} == {t.id: t for t in bank}
    assert other.search("mug") == []  # nobody has vouched for these
    assert import_file(other, tmp_path / name).skipped_existing == 5
    trusted = Bank.create(tmp_path / "trusted")
    import_file(trusted, tmp_path / name, trust=True)
    assert len(trusted.search("mug")) == 2
    assert not list(tmp_path.glob("*.partial"))


def test_columns_can_be_read_without_us(bank, tmp_path):
    assert export_bank(bank, tmp_path / "won.parquet", where=Filter(success=True)) == 3
    table = pq.read_table(tmp_path / "won.parquet")
    assert set(table["success"].to_pylist()) == {True}
    assert table["steps"].to_pylist() == [2, 2, 2]
    frame = datasets.load_dataset("parquet", data_files=str(tmp_path / "won.parquet"), cache_dir=str(tmp_path / "cache"))["train"]
    assert frame.filter(lambda row: "apple" in row["instruction"]).num_rows == 1


def test_bad_rows_are_named_and_the_rest_goes_in(bank, tmp_path):
    payloads = [t.to_json() for t in bank]
    broken = [payloads[0], "{", None, payloads[1].replace('"steps"', '"stepps"'), payloads[2]]
    pq.write_table(pa.table({"payload": broken}), tmp_path / "bad.parquet")
    other = Bank.create(tmp_path / "other")
    report = import_file(other, tmp_path / "bad.parquet")
    assert report.added == 2
    assert [row.line for row in report.bad] == [2, 3, 4]
    assert "stepps" in report.bad[2].reason


def test_a_dataset_in_memory(bank, tmp_path):
    dataset = to_dataset(bank)
    assert dataset.num_rows == 4
    report = from_dataset(Bank.create(tmp_path / "other"), dataset.filter(lambda row: row["success"]), trust=True)
    assert (report.added, report.quarantined) == (3, 0)
    assert to_dataset([]).column_names == dataset.column_names


def test_foreign_and_missing_files_are_told(bank, tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    (tmp_path / "broken.parquet").write_text("no parquet")
    (tmp_path / "folder").mkdir()
    for name, error, told in (
        ("foreign.parquet", ConfigError, "no column 'payload'"),
        ("none.parquet", ConfigError, "no file"),
        ("broken.parquet", BankError, "cannot be read"),
        ("folder", ConfigError, "not a folder of a dataset"),
    ):
        with pytest.raises(error, match=told):
            import_file(bank, tmp_path / name)
    export_bank(bank, tmp_path / "damaged")
    (tmp_path / "damaged" / "state.json").write_text("{")
    with pytest.raises(ConfigError, match="damaged cannot be read"):
        import_file(bank, tmp_path / "damaged")
    with pytest.raises(ConfigError, match="is there already"):
        export_bank(bank, tmp_path / "folder")
    with pytest.raises(ConfigError, match="our own records"):
        import_file(bank, tmp_path / "broken.parquet", format="atif")
    with pytest.raises(ConfigError, match="--format"):
        export_bank(bank, tmp_path / "x.csv")
    assert len(bank) == 4


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_an_export_that_fails_leaves_nothing(bank, tmp_path, monkeypatch, name):
    def break_off(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", break_off)
    monkeypatch.setattr(datasets.Dataset, "save_to_disk", break_off)
    (tmp_path / "here").mkdir()
    with pytest.raises(BankError, match="No space left"):
        export_bank(bank, tmp_path / "here" / name)
    assert not list((tmp_path / "here").iterdir())
