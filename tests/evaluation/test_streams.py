"""Streams judged: the learning curve, transfer to later types and the change on revisits, by hand-counted cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from exprag.evaluation.statistics import Paired, paired_means, paired_rates, wilson
from exprag.evaluation.stream_figure import draw
from exprag.evaluation.streams import Visit, first_met, judge, learning_curve, revisits
from exprag.figures import save_figure


def course(outcomes: Sequence[tuple[bool, bool]], **fields: object) -> list[Visit]:
    return [Visit(f"t{n}", "a", memory=memory, none=none, **fields) for n, (memory, none) in enumerate(outcomes)]  # type: ignore[arg-type]


def test_the_learning_curve_has_stretches_of_equal_length_with_paired_differences() -> None:
    visits = course([(number >= 10, number % 4 == 0) for number in range(20)])
    curve = learning_curve(visits)
    assert [(stretch.first, stretch.last) for stretch in curve] == [(1, 4), (5, 8), (9, 12), (13, 16), (17, 20)]
    assert [stretch.memory.mean for stretch in curve] == [0, 0, 0.5, 1, 1]
    assert [stretch.none.mean for stretch in curve] == [0.25] * 5
    assert curve[2].memory.interval == wilson(2, 4)
    assert curve[2].difference == paired_rates(Paired(both=0, arm_only=2, baseline_only=1, neither=1))
    assert [(one.first, one.last) for one in learning_curve(visits, 2)] == [(1, 10), (11, 20)]
    assert [(one.first, one.last) for one in learning_curve(visits[:3])] == [(1, 3)]
    assert learning_curve([]) == ()


def test_transfer_counts_visits_of_a_type_of_which_the_memory_has_nothing_yet() -> None:
    def visit(type_: str, round_: int, chapter: int = 0) -> Visit:
        return Visit(f"{type_}{round_}", type_, round=round_, chapter=chapter)

    by_type = [visit("a", 0), visit("a", 1), visit("b", 2), visit("b", 2), visit("b", 3), visit("a", 4)]
    assert first_met(by_type) == by_type[2:4]
    in_turns = [visit("a", 0), visit("b", 0), visit("a", 1), visit("b", 1)]
    assert first_met(in_turns) == []  # no round was before the first of either
    isolated = [visit("a", 0), visit("b", 1, chapter=1), visit("b", 2, chapter=1)]
    assert first_met(isolated) == []  # the memory of a is not there


def test_the_change_on_revisits_is_less_that_of_the_agent_without_memory() -> None:
    first = course([(True, False), (True, True), (False, False), (True, True)])
    again = course([(False, False), (True, True), (True, True), (False, False)], again=True, round=1)
    net, memory, none = revisits([*first, *again])
    changes = [-1, 0, 0, 0]  # with memory −1, 0, +1, −1; without 0, 0, +1, −1
    assert net == paired_means(changes)
    assert net.estimate == pytest.approx(-0.25)
    assert memory == paired_rates(Paired(both=1, arm_only=1, baseline_only=2, neither=0))
    assert none.estimate == 0
    still = [visit for visit in (*first, *again) if visit.task in ("t0", "t1")]  # without memory nothing changes: two rates
    assert revisits(still)[0] == paired_rates(Paired(both=1, baseline_only=1))
    assert revisits(first)[0].n == 0


def test_the_table_has_all_tasks_and_each_type_in_the_order_of_arrival(tmp_path: Path) -> None:
    first = [Visit("b1", "b"), Visit("a1", "a", round=1, memory=True), Visit("a2", "a", round=1, memory=True)]
    outcome = judge([*first, Visit("b1", "b", again=True, round=2, memory=True)])
    rows = outcome.rows()
    assert [row[:4] for row in rows[1:]] == [["all", "4", "75 %", "0 %"], ["b", "2", "50 %", "0 %"], ["a", "2", "100 %", "0 %"]]
    every, b, a = outcome.parts
    assert (every.transfer.n, every.transfer.estimate, b.transfer.n, a.transfer.n) == (2, 1.0, 0, 2)
    assert (every.revisits.n, every.revisits.estimate, a.revisits.n) == (1, 1.0, 0)
    assert rows[2][5] == "–"
    save_figure(lambda: draw(outcome), tmp_path / "stream.png", "distill")
    assert (tmp_path / "stream.png").read_bytes()[:4] == b"\x89PNG"
    assert outcome.to_dict()["visits"][1]["task"] == "a1"
