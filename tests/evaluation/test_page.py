"""The page: complete, self-contained, and safe with any text that an environment or a model may produce."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from evaluation.material import arm, episode
from hypothesis import given
from hypothesis import strategies as st

from exprag.errors import RunError
from exprag.evaluation import RunResult, compare, write_page
from exprag.evaluation.page import embed
from exprag.evaluation.report import Picture
from exprag.trajectory import Recalled, Step, Trajectory

HOSTILE = [
    "</script><script>document.title='taken'</script>",
    "<!--<script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "]]>{{script}} \u2028\u2029 \ud800 \x00 &lt; ${1} \\u003c",
]


class Page(HTMLParser):
    """The elements of a page, their attributes, and the text of its scripts."""

    def __init__(self, source: Path | str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.kind: str | None = None
        self.feed(source if isinstance(source, str) else source.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.kind = self.kind or dict(attrs).get("type")
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script":
            self.scripts[-1] += data

    @property
    def data(self) -> dict[str, Any]:
        packed = self.kind == "application/gzip"
        return json.loads(gzip.decompress(base64.b64decode(self.scripts[0])) if packed else self.scripts[0])


def hostile_run(recalled: tuple[Recalled, ...] = ()) -> RunResult:
    steps = tuple(
        Step(observation=text, action=text, thought=text, note=text, response=text + "!", recalled=recalled) for text in HOSTILE
    )
    hostile = episode("1", False, type=HOSTILE[0]).model_copy(update={"steps": steps, "final_observation": HOSTILE[2]})
    return RunResult(HOSTILE[2], {"environment": HOSTILE[0], "bank": None, "novel": {"a": HOSTILE}}, {}, (hostile,))


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    path = write_page(tmp_path / "page.html", [hostile_run()])
    page = Page(path)
    assert Counter(tag for tag, _ in page.elements)["script"] == 2
    for tag, attributes in page.elements:
        assert not attributes.get("src"), tag
        assert (attributes.get("href") or "#").startswith(("#", "data:,")), attributes
        assert not [name for name in attributes if name.startswith("on")], attributes
    (policy,) = [a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    source = (page.scripts[1] + path.read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]).replace(
        "http://www.w3.org/2000/svg", ""
    )
    assert not re.search(r"https?:|//\w+\.|@import|url\(|fetch\(|XMLHttp", source), "asks for something"
    assert not re.search(r"(inner|outer)HTML|insertAdjacent|eval\(|document\.write", source), "makes markup of text"


def test_hostile_text_stays_data(tmp_path: Path) -> None:
    data = Page(write_page(tmp_path / "page.html", [hostile_run()])).data
    assert [step["observation"] for step in data["episodes"][0]["steps"]] == HOSTILE
    assert data["report"]["arms"][0]["config"]["novel"] == {"a": HOSTILE}


def test_a_picture_stands_in_the_page_with_its_numbers(tmp_path: Path) -> None:
    runs = [arm("a", [True])]
    png = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
    picture = Picture(HOSTILE[0], png, HOSTILE[2], ("", "success"), ((HOSTILE[2], "7 %"),))
    report = replace(compare(runs), pictures=(picture,))
    path = report.to_html(tmp_path / "page.html")
    page = Page(path)
    assert Counter(tag for tag, _ in page.elements)["script"] == 2, "text of a picture makes no element"
    (source,) = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    assert source is not None
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == png
    assert "<td>7 %</td>" in path.read_text(encoding="utf-8")
    assert json.loads(report.to_json()) == json.loads(compare(runs).to_json()), "a picture is for the page alone"


TEXTS = st.text(st.characters(exclude_categories=()))


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_embedded_data_is_read_back_and_cannot_end_its_element(data: Any) -> None:
    text = embed(data)
    assert text.isascii()
    assert "<" not in text
    # json pairs two lone surrogates that meet; so does the comparison.
    assert json.loads(text) == json.loads(json.dumps(data))


def test_recalled_trajectories_are_there_once_and_only_if_recalled(tmp_path: Path) -> None:
    bank = {t.id: t for t in (episode("kept", True), episode("other", True))}
    first, other = bank
    one, two = Recalled(id=first, score=1.0), Recalled(id="not-in-the-bank", score=0.5)
    listed = [(one,), (one,), (one, two), (), (one,)]
    steps = tuple(Step(observation="o", action="a", recalled=recalled) for recalled in listed)
    run = RunResult("m", {"bank": "b"}, {}, (episode("1", True).model_copy(update={"steps": steps}),) * 2)
    data = Page(write_page(tmp_path / "page.html", [run], bank)).data
    assert list(data["recalled"]) == [first]
    assert other not in data["recalled"]
    written = data["episodes"][0]["steps"]
    assert [step.get("same_recall", False) for step in written] == [False, True, False, False, False]
    assert [[r["id"] for r in step.get("recalled", ())] for step in written] == [[first], [], [first, two.id], [], [first]]


def test_nothing_is_lost_on_the_way_to_the_page(real: tuple[list[RunResult], dict[str, Trajectory]], tmp_path: Path) -> None:
    runs, bank = real
    data = Page(write_page(tmp_path / "page.html", runs, bank)).data
    written = iter(data["episodes"])
    for number, run in enumerate(runs):
        for trajectory in run.episodes:
            record = next(written)
            assert record.pop("arm") == number
            assert record.pop("prompt")
            assert (record.pop("cause", None) is None) is (trajectory.success is True)
            for index, step in enumerate(record["steps"]):
                if step.pop("same_recall", False):
                    step["recalled"] = record["steps"][index - 1]["recalled"]
            assert Trajectory.from_dict(record) == trajectory
    assert {id: Trajectory.from_dict(record) for id, record in data["recalled"].items()}.items() <= bank.items()


def test_the_file_appears_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    assert write_page(path, [arm("a", [True])]) == path
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_page(path, [replace(arm("a", [True]), config={"x": float("nan")})])
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
    with pytest.raises(RunError, match="Cannot write"):
        write_page(path / "below-a-file.html", [arm("a", [True])])
    with pytest.raises(RunError, match="Cannot write"):
        write_page(path.parent, [arm("a", [True])])
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]


def test_the_page_is_the_same_each_time(tmp_path: Path) -> None:
    runs = [arm("m", [True, False], bank="b"), arm("n", [False, False])]
    assert write_page(tmp_path / "1", runs).read_bytes() == write_page(tmp_path / "2", runs).read_bytes()


def browse(path: Path, profile: Path, address: str = "") -> str:
    """The page's elements as a browser has them after its script ran."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium or Chrome on the PATH to show the page in")
    quiet = "--disable-quic --disable-background-networking --disable-component-update --disable-sync --no-first-run"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", *quiet.split(), f"--user-data-dir={profile}"]
    command += ["--virtual-time-budget=2000", "--dump-dom", path.as_uri() + address]
    return subprocess.run(command, capture_output=True, timeout=90, check=True).stdout.decode("utf-8")


def test_a_browser_shows_it(tmp_path: Path) -> None:
    recalled = episode("recalled", True)
    run = hostile_run((Recalled(id=recalled.id, score=0.25, reason=HOSTILE[2]),))
    # The page shows a lone surrogate as the replacement character; the browser's own --dump-dom dies of it.
    hostile = run.episodes[0].model_copy(update={"steps": run.episodes[0].steps[:3]})
    run = RunResult(run.name, {"environment": HOSTILE[0], "bank": None}, {}, (hostile,))
    path = write_page(tmp_path / "page.html", [run, replace(run, name="second")], {recalled.id: recalled}, baseline="second")
    dom = browse(path, tmp_path / "profile", "#/0/2/1")
    elements = Counter(tag for tag, _ in Page(dom).elements)
    assert (elements["img"], elements["script"], elements["title"]) == (0, 2, 1)
    assert "<title>exprag report" in dom
    assert "step 2 of 3" in dom
    assert "2 of 2 episodes" in dom
    assert "do recalled" in dom
    assert dom.count('class="step current"') == 2, "both columns stand at the step of the address"


def test_a_browser_shows_queries_counts_and_what_differs(tmp_path: Path) -> None:
    steps = (
        Step(observation="o", action="a", query="where is the </q><mug>", note="a tag came off"),
        *(Step(observation="o", action="a", valid=False) for _ in range(2)),
    )
    played = episode("1", False).model_copy(update={"steps": steps})
    with_memory = RunResult("m", {"bank": "b", "seed": 1, "agent": {"strategy": "trajectory", "k": 2}}, {}, (played,))
    path = write_page(tmp_path / "page.html", [with_memory, arm("n", [True])])
    assert Page(path).data["loops"] == [0]
    dom = browse(path, tmp_path / "profile")
    text = " ".join(re.sub(r"<[^>]*>", " ", dom.partition('id="data"')[0]).split())
    assert "asked the bank for: where is the &lt;/q&gt;&lt;mug&gt;" in text
    assert "1 33 % 2 67 % 1 100 %" in text, "repaired, not understood, in a loop"
    assert "went round in a loop" in text
    assert "refresh in force every_step –" in text
    assert '<tr class="differs"><th scope="row">agent.strategy' in dom
