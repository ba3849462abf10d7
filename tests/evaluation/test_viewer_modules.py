"""The page's modules without a browser: run in node, where it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from evaluation.material import arm, episode
from evaluation.test_page import HOSTILE, hostile_run

from exprag import html
from exprag.evaluation import compare
from exprag.evaluation.page import page_data
from exprag.evaluation.results import RunResult, distinct
from exprag.trajectory import Recalled, Step

VIEWER = files("exprag.evaluation") / "viewer"
MODULES = sorted(entry.name for entry in VIEWER.iterdir() if entry.name.endswith(".js"))


def node() -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("no node on the PATH to run the page's modules in")
    return program


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the modules as they are."""
    folder = tmp_path_factory.mktemp("viewer")
    (folder / "package.json").write_text('{"type": "module"}')
    for name in MODULES:
        (folder / name).write_text((VIEWER / name).read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def run(folder: Path, data: Any, code: str) -> Any:
    """What the code gives, which reads `data` and prints JSON."""
    (folder / "data.json").write_text(json.dumps(data))
    lead = "import { readFileSync } from 'node:fs'; const data = JSON.parse(readFileSync('data.json', 'utf8'));\n"
    (folder / "test.js").write_text(lead + code)
    done = subprocess.run([node(), "test.js"], cwd=folder, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def data_of(*runs: RunResult) -> dict[str, Any]:
    named = distinct(runs)
    return page_data(compare(named, named[-1].name if len(named) > 1 else None), {})


def test_modules_are_short_and_the_whole_is_one_valid_script(tmp_path: Path) -> None:
    for name in MODULES:
        assert len((VIEWER / name).read_text(encoding="utf-8").splitlines()) <= 260, name
    script = html.bundle("exprag.evaluation", "viewer", "start.js").text
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    (tmp_path / "whole.mjs").write_text(script, encoding="utf-8")
    subprocess.run([node(), "--check", "whole.mjs"], cwd=tmp_path, check=True, timeout=60, capture_output=True)
    for name in set(MODULES) - {"bank_map.js", "start.js"}:
        first = (VIEWER / name).read_text(encoding="utf-8").splitlines()[0].strip("/* ")
        assert first in script, f"{name} is part of the page"


def test_modules_that_import_each_other_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "circle").mkdir()
    (tmp_path / "circle" / "__init__.py").touch()
    (tmp_path / "circle" / "a.js").write_text('import { b } from "./b.js";\nexport const a = b;\n')
    (tmp_path / "circle" / "b.js").write_text('import { a } from "./a.js";\nexport const b = a;\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=re.escape("a.js → b.js → a.js")):
        html.bundle("circle", "", "a.js")


def test_filters_find_what_they_say(modules: Path) -> None:
    recalled = (Recalled(id="r", score=1.0),)
    looping = episode("002", False).model_copy(update={"steps": (Step(observation="o", action="wait", recalled=recalled),) * 4})
    with_memory = RunResult("m", {"bank": "b"}, {}, (*arm("m", [True, False]).episodes, looping))
    data = data_of(with_memory, arm("n", [False, False, True]))
    code = """
    import { take } from "./store.js";
    import { select, OUTCOMES } from "./filters.js";
    take(data);
    const outcomes = Object.fromEntries(Object.keys(OUTCOMES).map((outcome) => [outcome, select({ outcome })]));
    const more = [select({ arm: "1" }), select({ cause: "repeats" }), select({ text: "WAIT" }), select({ recalled: "r" }),
      select({ type: "=fetch", outcome: "solved", arm: "0" }), select({ type: "=none" })];
    console.log(JSON.stringify([outcomes, more]));
    """
    outcomes, more = run(modules, data, code)
    assert outcomes[""] == [0, 1, 2, 3, 4, 5]
    assert (outcomes["solved"], outcomes["unsolved"]) == ([0, 5], [1, 2, 3, 4])
    assert (outcomes["differs"], outcomes["lost_alone"], outcomes["won_alone"]) == ([0, 2, 3, 5], [2, 3], [0, 5])
    assert outcomes["loop"] == [2]
    assert more == [[3, 4, 5], [2], [2], [2], [0], []]


def test_an_address_leads_back_to_where_it_was_written(modules: Path) -> None:
    data = data_of(arm("m", [True, False], bank="b"), arm("n", [False, True]))
    ids = [record["id"] for record in data["episodes"]]
    assert ids[0] != ids[1]
    code = """
    import { take } from "./store.js";
    import { readAddress, writeAddress } from "./address.js";
    take(data);
    const place = { episode: 1, step: 4, beside: 3, filters: { arm: "1", text: "a & b/?#=</i>", cause: "" } };
    const written = writeAddress(place);
    const others = ["#/0/2/1", "#/99", "#episodes", "#/%E0%A4%A/1", "#/?cause=repeats", ""];
    console.log(JSON.stringify([written, readAddress(written), ...others.map(readAddress)]));
    """
    written, read, numeric, *nothing, filtered, empty = run(modules, data, code)
    assert written.startswith(f"#/{ids[1]}/5/{ids[3]}?")
    assert "<" not in written
    assert (read["episode"], read["step"], read["beside"]) == (1, 4, 3)
    assert read["filters"] == {"arm": "1", "text": "a & b/?#=</i>"}
    assert (numeric["episode"], numeric["step"], numeric["beside"]) == (0, 1, 1)
    assert nothing == [None, None, None]
    assert (filtered["episode"], filtered["filters"]) == (-1, {"cause": "repeats"})
    assert empty is None


def test_where_two_episodes_part(modules: Path) -> None:
    def steps(*pairs: str) -> dict[str, Any]:
        return {"steps": [dict(zip(("observation", "action"), pair.split("/"), strict=True)) for pair in pairs]}

    pairs = [
        (steps("o/a", "p/b"), steps("o/a", "p/c")),
        (steps("o/a", "p/b"), steps("o/a", "q/b")),
        (steps("o/a"), steps("o/a", "p/b")),
        (steps("o/a"), steps("o/a")),
        ({}, steps("o/a")),
    ]
    code = 'import { partingOf } from "./compare.js"; console.log(JSON.stringify(data.map((pair) => partingOf(...pair))));'
    kinds = [parting and (parting["step"], parting["kind"]) for parting in run(modules, pairs, code)]
    assert kinds == [(1, "act"), (1, "see"), (1, "end"), None, (0, "end")]


def test_packed_data_is_unpacked(modules: Path) -> None:
    data = data_of(hostile_run())
    packed = html.pack(data, limit=10)
    plain = html.pack(data)
    assert (packed.kind, plain.kind) == ("gzip", "json")
    assert packed.text.isascii()
    assert "<" not in packed.text + plain.text
    nodes = [{"type": f"application/{each.kind}", "textContent": f"\n{each.text}\n"} for each in (packed, plain)]
    code = 'import { unpack } from "./unpack.js"; console.log(JSON.stringify(await Promise.all(data.map(unpack))));'
    both = run(modules, nodes, code)
    assert both[0] == both[1]
    assert [step["observation"] for step in both[0]["episodes"][0]["steps"]] == HOSTILE


def test_numbers_are_written_as_on_the_console(modules: Path) -> None:
    code = """
    import { fixed, percent, plus, range } from "./format.js";
    const texts = [fixed(-1234.5, 1), fixed(null, 2), percent(0.456), plus(-0.001, 1), plus(2, 1)];
    console.log(JSON.stringify([...texts, range({ low: -0.5, high: 1 }, 1, 100)]));
    """
    assert run(modules, None, code) == ["−1,234.5", "–", "46 %", "0.0", "+2.0", "[−50.0, +100.0]"]
