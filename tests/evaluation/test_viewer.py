"""The page in a real browser: keys, links, filters, prompts, and hostile text that does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from evaluation.browser import Browser
from evaluation.material import arm, episode
from evaluation.test_page import HOSTILE, hostile_run

from exprag.evaluation import RunResult, write_page
from exprag.evaluation.page import Live
from exprag.trajectory import Ending, Recalled, Step, Task, Trajectory


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms on three tasks of an installed environment, with memory, so that prompts can be written again."""
    past = episode("past", True)

    def play(task: str, success: bool, *actions: str, recalled: tuple[Recalled, ...] = ()) -> Trajectory:
        steps = tuple(Step(observation=f"view {min(n, 1)}", action=word, recalled=recalled) for n, word in enumerate(actions))
        about = Task(environment="alfworld-generated", id=task, type="t", instruction=f"bring {task} to the door")
        ended: Ending = "terminated" if success else "truncated"
        return Trajectory(task=about, steps=steps, success=success, score=float(success), ended=ended)

    items = (Recalled(id=past.id, score=0.75, reason="alike"),)
    with_memory = [play("box", True, "look", "take box", recalled=items), play("cup", False, *["wait"] * 6, recalled=items)]
    without = [play("box", False, "look", *["go"] * 5), play("cup", False, *["wait"] * 6)]
    config = {"environment": "alfworld-generated", "model": "scripted", "bank_version": 1}
    runs = [
        RunResult("plain", {**config, "bank": None}, {}, tuple(without)),
        RunResult("memory", {**config, "bank": "somewhere"}, {}, tuple(with_memory)),
    ]
    return write_page(tmp_path_factory.mktemp("page") / "page.html", runs, {past.id: past})


def text(browser: Browser, selector: str) -> str:
    return str(browser.value(f"document.querySelector({selector!r}).innerText"))


def test_a_newcomer_sees_why_one_arm_lost_what_the_other_won(browser: Browser, page: Path) -> None:
    browser.open(page, "#/?outcome=lost_alone")
    assert text(browser, "#count") == "1 of 4 episodes"
    reader = text(browser, "#reader")
    assert "Why it was lost: repeated the same actions." in reader
    assert "step 2: from here the two act differently" in reader
    assert browser.value("document.querySelectorAll('.columns .head').length") == 2, "the winner stands beside it"
    browser.press("d")
    assert text(browser, "#where") == "step 2 of 6"
    browser.press("b")
    assert browser.value("document.querySelectorAll('.columns .head').length") == 1


def test_keys_move_and_the_address_leads_back(browser: Browser, page: Path) -> None:
    browser.open(page, "#/2/1")
    browser.press("ArrowRight")
    assert text(browser, "#where") == "step 2 of 2"
    browser.press("ArrowRight", shift=True)
    assert text(browser, "#where") == "step 1 of 6"
    browser.press("ArrowRight")
    address = browser.value("location.hash")
    browser.open(page, address)
    assert text(browser, "#where") == "step 2 of 6"
    assert "bring cup" in text(browser, "#reader h3")
    browser.press("/")
    assert browser.value("document.activeElement.name") == "text"


def test_the_prompt_is_there_as_it_was_sent(browser: Browser, page: Path) -> None:
    browser.open(page, "#/2/2")
    browser.press("p")
    assert browser.value("document.querySelector('#prompt').open")
    roles = browser.value("[...document.querySelectorAll('#prompt .role')].map((node) => node.textContent)")
    assert roles == ["system", "user", "assistant", "user"]
    system, *rest = browser.value("[...document.querySelectorAll('#prompt .text')].map((node) => node.textContent)")
    assert "Your task: bring box to the door" in system
    assert '<experience outcome="successful">' in system
    assert rest == ["view 0", "look", "view 1"]
    assert browser.value("document.querySelectorAll('#prompt .memory').length") == 1
    assert "null" not in text(browser, "#prompt .bar-top + *")
    browser.press("Escape")
    assert not browser.value("document.querySelector('#prompt').open")


def test_numbers_lead_to_episodes_and_recalled_trajectories_open(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert "repeated the same actions" in text(browser, "#causes")
    browser.value("document.querySelector('#causes tbody .link').click()")
    assert text(browser, "#count") == "2 of 4 episodes"
    assert "cause=" in browser.value("location.hash")
    browser.value("document.querySelector('#credit tbody td .link').click()")
    assert text(browser, "#count") == "2 of 4 episodes"
    assert browser.value("document.querySelector('#recalled-filter').hidden") is False
    assert "recalled=" in browser.value("location.hash")
    browser.value("document.querySelector('#recalled-filter').click()")
    assert "recalled=" not in browser.value("location.hash")
    assert "arm=1" in browser.value("location.hash"), "the other filters stay"
    browser.value("document.querySelector('#credit th .link').click()")
    assert "do past" in text(browser, "#recalled")
    assert browser.errors == []


def test_hostile_text_opens_nothing_and_loads_nothing(browser: Browser, tmp_path: Path) -> None:
    recalled = episode("recalled", True).model_copy(update={"id": HOSTILE[0]})
    run = hostile_run((Recalled(id=HOSTILE[0], score=0.25, reason=HOSTILE[2]),))
    hostile = [f"{text}<script>alert(1)</script><img src=http://127.0.0.1:1/x onerror=alert(2)>" for text in HOSTILE[:3]]
    items = run.episodes[0].steps[0].recalled
    steps = tuple(Step(observation=t, action=t, thought=t, note=t, response=t + "!", recalled=items) for t in hostile)
    config = {**run.config, "environment": "alfworld-generated"}
    run = RunResult(hostile[0], config, {}, (run.episodes[0].model_copy(update={"steps": steps}),))
    path = write_page(tmp_path / "page.html", [run], {recalled.id: recalled})
    browser.requests.clear()
    browser.open(path)
    title = browser.value("document.title")
    for script in ("#credit th .link", "#credit td .link", "#causes .link", "#reader .recall .link", "#reader summary"):
        browser.value(f"document.querySelectorAll({script!r}).forEach((node) => node.click())")
        browser.value("document.querySelectorAll('dialog[open]').forEach((node) => node.close())")
    browser.press("p")
    assert browser.value("document.querySelector('#prompt').open")
    assert browser.value("document.querySelectorAll('img').length") == 0
    assert browser.value("document.querySelectorAll('script').length") == 2
    assert browser.value("document.title") == title
    assert browser.dialogs == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "about:"))] == []
    assert browser.errors == []


def test_many_episodes_are_drawn_as_they_are_needed(browser: Browser, tmp_path: Path) -> None:
    runs = [arm(name, [n % 3 == 0 for n in range(200)], bank=bank) for name, bank in (("m", "b"), ("n", None))]
    browser.open(write_page(tmp_path / "page.html", runs, prompts=False), "#/399")
    assert text(browser, "#count") == "400 of 400 episodes"
    assert browser.value("document.querySelectorAll('#list li').length") == 400, "an address far down brings the rows before it"
    browser.open(tmp_path / "page.html")
    assert browser.value("document.querySelectorAll('#list li').length") == 150
    assert browser.value("document.querySelectorAll('#reader .step').length") == 3


def test_it_is_dark_where_the_reader_wants_that(browser: Browser, page: Path) -> None:
    browser.open(page)
    light = browser.value("getComputedStyle(document.body).backgroundColor")
    browser.dark()
    assert browser.value("getComputedStyle(document.body).backgroundColor") != light


def test_a_live_page_loads_itself_again_and_stays_where_it_was(browser: Browser, tmp_path: Path) -> None:
    path = write_page(tmp_path / "page.html", [arm("m", [True])], live=Live("Still being played.", 0.2))
    browser.open(path, "#/0/2")
    assert text(browser, "#live") == "Still being played."
    write_page(path, [arm("m", [True, False])])
    browser.wait("document.querySelector('#count')?.textContent === '2 of 2 episodes'")
    assert text(browser, "#where") == "step 2 of 2"
    assert browser.value("document.querySelector('#live').hidden")
