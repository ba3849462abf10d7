"""Wrong command lines: what was expected, the near name or the new one, exit code 1 or 2, and never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from command_line import exprag

from exprag.cli.main import COMMANDS
from exprag.files import write_json

GROUPS = {
    "bank": ["create", "add", "import", "info", "export", "search", "show", "trust", "delete", "index", "tag", "history", "map"],
    "data": ["build", "show", "stats"],
    "validate": ["env", "strategy", "selector", "formatter", "style"],
    "new": ["plugin"],
    "models": ["fetch-small"],
}
OPTIONS = [
    *("--env", "-e", "--out", "-o", "--k", "-k", "--types", "--set", "--task", "--bank", "--config", "--learn", "--index-state"),
    *("--limit", "--per-type", "--shuffle", "--no-shuffle", "--strategy", "--model", "--recipe", "--r", "--json", "--version"),
    *("--markdown", "-x", "--index", "--keep", "--wider", "--arm", "--profile", "--épée", "--", "-", "---", "--k="),
    *("--types=a,b", "-kk", "--no-k", "--set=="),
]
VALUES = [
    *("", "x", "-3", "1e99", "nan", "none", "=", "a=b", "[", '{"a":', "\x1b[31m", "[/red]", "\ud800", "~", "7" * 400, "ü", "\0"),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, where nothing that a line names is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXPRAG_TRACEBACK", raising=False)


def wrong_line(rng: random.Random) -> list[str]:
    """A random line that is wrong: at the latest its last words are."""
    command = rng.choice(sorted(COMMANDS))
    words = [command, *([rng.choice(GROUPS[command])] if command in GROUPS else [])]
    for _ in range(rng.randrange(6)):
        words += [rng.choice(OPTIONS)] if rng.random() < 0.6 else []
        words += [rng.choice(VALUES)] if rng.random() < 0.8 else []
    return [*words, "--no-such-option", "value"]


@pytest.mark.parametrize("seed", range(8))
def test_random_wrong_lines_are_refused_without_a_traceback(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        line = wrong_line(rng)
        if "--help" in line or "--version" in line:
            continue
        outcome = exprag(*line)
        assert outcome.exit_code in (1, 2), line
        assert outcome.stderr.strip(), line
        assert "Traceback" not in outcome.output, line
        assert "unexpected:" not in outcome.output, (line, outcome.stderr)
        assert "\x1b" not in outcome.output, line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["runn"], "There is no command 'runn'. Did you mean 'run'?"),
        (["bank", "serach"], 'Did you mean "search"?'),
        (["run", "-o", "r", "--stratgy", "task"], "Did you mean --strategy?"),
        (["run", "-o", "r", "--learn", "sucess"], 'Choose from: "none", "success", "all". Did you mean "success"?'),
        (["run", "-o", "r", "-k", "x"], 'unable to convert "x" into int'),
        (["run", "-o"], "-o requires an argument"),
        (["run"], "--out requires an argument"),
        (["run", "-o", "a", "-o", "b"], "specified multiple times"),
        (["run", "-o", "r", "stray"], "There is no place for 'stray'."),
        (["run", "-o", "r", "--index", "matched"], "--index. It is called --index-state now."),
        (["run", "-o", "r", "--keep", "1"], "--keep. It is called --carry-over now."),
        (["run", "-o", "r", "--arm", "k=3"], "--arm. Each field is an option of its own now."),
        (["bank", "search", "b", "x", "--wider", "thing"], "--wider. It is called --exclude-by now."),
        (["bank", "search", "b", "x", "--mode", "auto"], "--mode. It is called --search-mode now."),
        (["train", "rows", "--model", "m", "-o", "o", "--profile", "p"], "--profile. It is called --recipe now."),
        (["train", "rows", "--model", "m", "-o", "o", "--epochs", "2"], "--epochs. It is called --num-train-epochs now."),
        (["train", "rows", "--model", "m", "-o", "o", "--set", "r=2"], "--set. Each field is an option of its own now."),
        (["select", "out", "--arm", "k=3"], "--arm. Each field is an option of its own now."),
    ],
)
def test_a_line_that_does_not_parse_is_exit_code_2(line: list[str], message: str) -> None:
    outcome = exprag(*line)
    assert outcome.exit_code == 2
    assert message in " ".join(outcome.stderr.split())
    assert "--help lists" in outcome.stderr
    assert outcome.stdout == ""


def test_places_that_will_not_do_are_named(tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("")
    write_json(tmp_path / "list.json", [1])
    (tmp_path / "wide.toml").write_bytes("k = 1\n".encode("utf-16"))
    run = ["run", "-e", "toy:Toy", "--workers", "0"]
    for line, message in (
        ([*run, "-o", "afile"], "afile"),
        ([*run, "-o", "afile/below"], "afile"),
        ([*run, "-o", ""], "-o is empty"),
        ([*run, "-o", "r", "--config", "list.json"], "list.json holds a list"),
        ([*run, "-o", "r", "--config", "wide.toml"], "wide.toml is not UTF-8"),
        ([*run, "-o", "r", "--config", "gone.toml"], "gone.toml"),
        ([*run, "-o", "r", "--config", "."], "directory"),
        (["data", "build", "afile", "-k", "0", "-o", "afile/rows.jsonl"], "afile"),
    ):
        outcome = exprag(*line)
        assert outcome.exit_code == 1, line
        assert message in outcome.stderr, line
        assert "unexpected" not in outcome.stderr, outcome.stderr
        assert len(outcome.stderr.strip().splitlines()) <= 2, outcome.stderr
