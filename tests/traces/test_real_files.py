"""Published trajectories come in whole, with the right pairs."""

from __future__ import annotations

import pytest

from exprag.bank import Bank, Filter
from exprag.traces import read_file


@pytest.fixture(scope="session")
def folder(shared):
    place = shared / "trajectories"
    if not place.is_dir():
        pytest.skip("no real data: expected the folder ../shared/data/trajectories beside the repository")
    return place


def read(file, **options):
    results = list(read_file(file, **options))
    assert [result.fault for result in results if result.trajectory is None] == []
    return [result.trajectory for result in results]


def test_336_runs_of_agentinstruct_by_one_call(folder, tmp_path):
    bank = Bank.create(tmp_path / "bank")
    report = bank.import_file(folder / "agentinstruct_alfworld_336.json.xz", environment="house")
    assert (report.added, report.quarantined, report.bad) == (336, 336, ())
    runs = {run.task.id: run for run in bank}
    assert sum(len(run.steps) for run in runs.values()) == 4542
    first = runs["alfworld_0"]
    assert first.task.key == "house:alfworld_0"
    assert first.task.instruction == "find two laptop and put them in bed."
    assert first.actions[:2] == ["go to diningtable 1", "take laptop 1 from diningtable 1"]
    assert first.steps[0].observation.startswith("You are in the middle of a room.")
    assert first.steps[2].observation == "You pick up the laptop 1 from the diningtable 1."
    assert (len(first.steps), first.actions[-1], first.success) == (14, "put laptop 2 in/on bed 1", None)
    extra = first.provenance.extra
    assert (extra["format"], extra["file"], extra["row"]) == ("pairs", "agentinstruct_alfworld_336.json.xz", 1)
    assert bank.search("find two laptop") == []
    bank.trust(Filter(run="agentinstruct_alfworld_336.json.xz"))
    assert bank.search("find two laptop")[0].trajectory == first


def test_36_react_transcripts_of_one_object(folder):
    runs = {run.task.id: run for run in read(folder / "react_alfworld_3prompts.json")}
    assert len(runs) == 36
    reacted, acted = runs["react_put_0"], runs["act_put_0"]
    assert reacted.task.instruction == acted.task.instruction == "put some spraybottle on toilet."
    assert reacted.actions == acted.actions
    assert acted.actions == [
        "go to cabinet 1",
        "go to cabinet 2",
        "open cabinet 2",
        "take spraybottle 2 from cabinet 2",
        "go to toilet 1",
        "put spraybottle 2 in/on toilet 1",
    ]
    assert [step.observation for step in reacted.steps] == [step.observation for step in acted.steps]
    assert reacted.final_observation == "You put the spraybottle 2 in/on the toilet 1."
    assert reacted.steps[3].thought == "Now I find a spraybottle (2). Next, I need to take it."
    assert all(step.thought is None for step in acted.steps)
    assert not any(step.observation == "OK." for run in runs.values() for step in run.steps)


def test_500_react_runs_with_scores(folder):
    runs = read(folder / "react_webshop_500.jsonl.xz")
    assert len(runs) == 500
    won = runs[1]
    assert (won.score, won.success) == (1.0, True)
    assert won.actions[0] == "search[noise cancelling cosycost usb microphone]"
    assert won.steps[0].observation.startswith("Webshop")
    assert won.steps[1].observation.startswith("[Back to Search]")
    assert (runs[0].score, runs[0].success) == (None, None)
    assert runs[0].steps[1].thought.startswith("B08H5DCD65 is long clip-in hair extension")
    assert all((run.score == 1) == run.success for run in runs if run.score is not None)
    assert sum(bool(step.thought) for run in runs for step in run.steps) > 1000
    assert not any(step.action.startswith("think[") for run in runs for step in run.steps)


def test_expert_runs(folder):
    runs = read(folder / "expert_handcoded_train_sample.jsonl.xz")
    assert (len(runs), sum(run.success for run in runs)) == (139, 115)
    first = runs[0]
    assert first.task.instruction == "clean some fork and put it in drawer."
    assert first.actions[:2] == ["look", "go to sinkbasin 1"]
    assert "Your task is to" in first.steps[0].observation
    assert first.steps[2].observation == "You arrive at sinkbasin 1. On the sinkbasin 1, you see a potato 1, and a tomato 1."
    assert first.final_observation == "You move the fork 1 to the drawer 1."


def test_page_logs_are_refused_each_with_the_reason(folder):
    results = list(read_file(folder / "webshop_human_sessions.jsonl.xz"))
    assert len(results) == 50
    assert all("fits none of the formats" in result.fault and "session, events" in result.fault for result in results)
