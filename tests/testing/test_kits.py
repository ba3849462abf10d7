"""The kits of query strategies, selectors, formatters and styles: the built-ins pass, and each fault is named."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exprag.contracts.formatter import Formatter, Transcript
from exprag.contracts.query_strategy import Moment, QueryStrategy, StepStrategy
from exprag.contracts.selector import Candidate, Selector
from exprag.contracts.style import AgentStyle, Turn
from exprag.plugins import create
from exprag.testing import (
    FormatterConformance,
    QueryStrategyConformance,
    Result,
    SelectorConformance,
    StyleConformance,
    check_formatter,
    check_selector,
    check_strategy,
    check_style,
)
from exprag.testing.material import odd, ordinary
from exprag.trajectory import Step, Trajectory
from exprag_formatters import FORMATTERS
from exprag_retrievers import SELECTORS, STRATEGIES
from scripted import Scripted

CHECKS: dict[str, Callable[..., Iterator[Result]]] = {
    "query_strategy": check_strategy,
    "selector": check_selector,
    "formatter": check_formatter,
    "style": check_style,
}
BUILT_IN = [
    *(("query_strategy", name) for name in STRATEGIES),
    *(("selector", name) for name in SELECTORS if name not in ("rerank", "cross_encoder")),
    *(("formatter", name) for name in FORMATTERS),
    *(("style", name) for name in ("act", "react", "stateact")),
]


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_the_built_ins_pass(kind: str, name: str) -> None:
    results = list(CHECKS[kind](partial(create, kind, name)))
    assert [f"{r.name}: {r.detail}" for r in results if r.passed is False] == []
    assert sum(r.passed is True for r in results) >= 6


@pytest.mark.parametrize("answer", ["[2, 1]", "[]", "None of them.", "[1, 1]"])
def test_rerank_passes_whatever_its_model_says(answer: str) -> None:
    results = list(check_selector(lambda: create("selector", "rerank", model=Scripted(turns=[answer]))))
    failed = [r.name for r in results if r.passed is False]
    assert failed == (["keeps some of the pool"] if answer == "[]" else [])


# -- one class in one's own suite


class TestTask(QueryStrategyConformance):
    def make(self) -> QueryStrategy:
        return create("query_strategy", "task")


class TestTopK(SelectorConformance):
    def make(self) -> Selector:
        return create("selector", "top_k")


class TestTextual(FormatterConformance):
    def make(self) -> Formatter:
        return create("formatter", "textual")


class TestReAct(StyleConformance):
    def make(self) -> AgentStyle:
        return create("style", "react")


@pytest.mark.parametrize("kit", [QueryStrategyConformance, SelectorConformance, FormatterConformance, StyleConformance])
def test_a_kit_without_make_says_so(kit: type[Any]) -> None:
    with pytest.raises(TypeError, match=r"Override make\(\)"):
        kit().make()


# -- faults of query strategies


class Honest(QueryStrategy):
    def key(self, trajectory: Trajectory) -> str:
        return trajectory.task.instruction or trajectory.task.id

    def query(self, moment: Moment) -> str | None:
        return moment.task.instruction or moment.task.id


class Often(Honest):
    refresh = "often"


class Blank(Honest):
    def key(self, trajectory: Trajectory) -> str:
        return ""


class Numbered(Honest):
    def key(self, trajectory: Trajectory) -> str:
        return 7  # type: ignore[return-value]


class Mute(Honest):
    def query(self, moment: Moment) -> None:
        return None


class Remembering(Honest):
    asked = itertools.count()

    def query(self, moment: Moment) -> str:
        return f"{super().query(moment)} {next(self.asked)}"


class Mismatched(Honest):
    def query(self, moment: Moment) -> str:
        return "what should be done here?"


class Careless(Honest):
    def key(self, trajectory: Trajectory) -> str:
        return trajectory.steps[0].action


class Lumped(Honest, StepStrategy):
    def keys(self, trajectory: Trajectory) -> list[str]:
        return [trajectory.task.instruction]


class Speechless(Honest):
    def query(self, moment: Moment) -> str:
        return " "


class Late(Honest):
    def query(self, moment: Moment) -> str | None:
        return super().query(moment) if moment.steps else None


class Stuck(Honest):
    refresh = "on_change"


class Unordered(Honest):
    def key(self, trajectory: Trajectory) -> str:
        return " ".join(set(f"{super().key(trajectory)} {' '.join(trajectory.actions)}".split()))


class Scribbling(Honest):
    def key(self, trajectory: Trajectory) -> str:
        trajectory.task.metadata["read"] = True
        return super().key(trajectory)


class Leaving(Honest):
    def query(self, moment: Moment) -> str | None:
        raise SystemExit(2)


class Single(Lumped):
    def keys(self, trajectory: Trajectory) -> list[str]:
        return "a" * len(trajectory.steps)  # type: ignore[return-value]


# -- of selectors


class First(Selector):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        return [candidate.because("first") for candidate in candidates[:k]]


class Small(First):
    def pool(self, k: int) -> int:
        return 1


class Greedy(First):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        return super().select(candidates, k + 1, moment)


class Silent(First):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        return list(candidates[:k])


class Cutting(First):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        kept = super().select(candidates, k, moment)
        return [Candidate(c.trajectory.model_copy(update={"steps": ()}), c.score, c.reason, c.step) for c in kept]


class Destructive(First):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        kept = super().select(candidates, k, moment)
        candidates.clear()  # type: ignore[attr-defined]
        return kept


class Hasty(First):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        return [candidates[0].because(f"score {100 / candidates[0].score}")]


class Nothing(First):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        return []


class Vast(First):
    def pool(self, k: int) -> int:
        return 10**9


class Worded(First):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        return [Candidate(c.trajectory, "high", "near", c.step) for c in candidates[:k]]  # type: ignore[arg-type]


class Reasonless(First):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        return [candidate.because(None) for candidate in candidates[:k]]  # type: ignore[arg-type]


class Shuffled(First):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        return super().select(sorted(candidates, key=lambda c: hash(c.trajectory.id)), k, moment)


# -- of formatters


class Lines(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        return "\n".join(["# " + trajectory.task.instruction, *(step.action for step in trajectory.steps)])

    def parse(self, text: str) -> Transcript | None:
        first, *actions = text.split("\n")
        return Transcript(first[2:], tuple(("", action) for action in actions)) if first.startswith("# ") else None


class Sloppy(Lines):
    def parse(self, text: str) -> Transcript | None:
        read = super().parse(text)
        return Transcript(read.instruction.upper(), read.turns) if read else None


class Indexed(Lines):
    def format(self, trajectory: Trajectory) -> str:
        return trajectory.steps[0].action


class Boasting(Lines):
    def format(self, trajectory: Trajectory) -> str:
        return f"{super().format(trajectory)} success={trajectory.success}".encode("utf-8", "replace").decode()


class Trusting(Lines):
    def parse(self, text: str) -> Transcript | None:
        return Transcript(text, ())


class Fragile(Lines):
    def parse(self, text: str) -> Transcript | None:
        return Transcript(text.split("\n")[1], ())


class Constant(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        return "an episode"


class Empty(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        return ""


class Ending(Lines):
    def format(self, trajectory: Trajectory) -> str:
        return f"{json.dumps([trajectory.task.instruction, *trajectory.actions])} {trajectory.ended}"


class Paying(Lines):
    def format(self, trajectory: Trajectory) -> str:
        return json.dumps([trajectory.task.instruction, *([step.action, step.reward] for step in trajectory.steps)])


class Sourced(Lines):
    def format(self, trajectory: Trajectory) -> str:
        return json.dumps([trajectory.id, trajectory.task.instruction, *trajectory.actions])


class Blind(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        return json.dumps([trajectory.task.instruction, *trajectory.actions])

    def parse(self, text: str) -> Transcript | None:
        return None


class Jumbled(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        return json.dumps([trajectory.task.instruction, trajectory.actions, list({step.action for step in trajectory.steps})])


class Triples(Lines):
    def parse(self, text: str) -> Transcript | None:
        read = super().parse(text)
        return Transcript(read.instruction, tuple((*turn, "") for turn in read.turns)) if read else None  # type: ignore[misc]


# -- of styles


class Bare(AgentStyle):
    name = "bare"
    instruction = "Act."

    def write(self, step: Step) -> str:
        return step.action

    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        return Turn(response.strip(), note=None if response.strip() else "empty")


class Nameless(Bare):
    name = ""


class Shouting(Bare):
    def write(self, step: Step) -> str:
        return step.action.upper()


class Brittle(Bare):
    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        return Turn(response.strip().splitlines()[0])


class Unnoted(Bare):
    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        return Turn(response.strip())


class Forgetful(Bare):
    def write_episode(self, task: Any, steps: Sequence[Step]) -> list[str]:
        return [step.action for step in steps[1:]]


class Lowering(Bare):
    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        return Turn(response.strip().lower(), note="lower case")


class Marked(Bare):
    """Reads what stands after the first mark, wherever that is: of an action with the mark in it, the rest."""

    def write(self, step: Step) -> str:
        return f"{step.thought or ''} >> {step.action}"

    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        thought, _, action = response.partition(">>")
        return Turn(action.strip(), thought.strip() or None, None if action.strip() else "no mark")


class Mindless(Bare):
    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        return None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("kind", "fault", "check", "detail"),
    [
        ("query_strategy", Often, "describes itself", "refresh is"),
        ("query_strategy", object, "describes itself", "not a QueryStrategy"),
        ("query_strategy", Blank, "gives every trajectory a key", "would never be found"),
        ("query_strategy", Numbered, "gives every trajectory a key", "it gave a int"),
        ("query_strategy", Careless, "gives every trajectory a key", "IndexError"),
        ("query_strategy", Mute, "asks at every moment", "None at every moment"),
        ("query_strategy", Remembering, "depends on its arguments alone", "other keys or queries"),
        ("query_strategy", Mismatched, "finds its own", "the same words"),
        ("query_strategy", Lumped, "keeps steps apart", "1 texts for"),
        ("query_strategy", Single, "keeps steps apart", "a list of texts; it gave a str"),
        ("query_strategy", Speechless, "asks at every moment", "is blank"),
        ("query_strategy", Late, "asks at every moment", "with refresh once the bank is not asked later"),
        ("query_strategy", Leaving, "asks at every moment", "SystemExit: 2"),
        ("query_strategy", Stuck, "names a subgoal", "its sub-goal never changes"),
        ("query_strategy", Scribbling, "depends on its arguments alone", "changed the metadata"),
        ("query_strategy", Unordered, "gives the same elsewhere", "the order of a set"),
        ("selector", Small, "describes itself", "at least 2 candidates"),
        ("selector", Greedy, "keeps some of the pool", "kept 2 candidates for 1 places"),
        ("selector", Silent, "gives reasons", "must say why"),
        ("selector", Cutting, "keeps some of the pool", "passed on as it is"),
        ("selector", Destructive, "leaves the pool alone", "changed the list"),
        ("selector", Hasty, "takes few candidates", "IndexError"),
        ("selector", Hasty, "takes any scores", "ZeroDivisionError"),
        ("selector", Nothing, "keeps some of the pool", "nothing was kept"),
        ("selector", Vast, "describes itself", "most of its rows"),
        ("selector", Worded, "keeps some of the pool", "one is 'high'"),
        ("selector", Reasonless, "gives reasons", "one is None"),
        ("selector", Shuffled, "keeps the same elsewhere", "hash()"),
        ("formatter", Lines, "writes every trajectory", "half a character"),
        ("formatter", Lines, "reads back what it writes", "must be escaped"),
        ("formatter", Sloppy, "reads back what it writes", "written differently"),
        ("formatter", Indexed, "writes every trajectory", "IndexError"),
        ("formatter", Boasting, "leaves the outcome out", "labels belong to the memory block"),
        ("formatter", Trusting, "passes over foreign text", "did not write"),
        ("formatter", Fragile, "passes over foreign text", "it raised IndexError"),
        ("formatter", Constant, "tells episodes apart", "read the same"),
        ("formatter", Empty, "tells episodes apart", "is blank"),
        ("formatter", Ending, "leaves the outcome out", "labels belong to the memory block"),
        ("formatter", Paying, "leaves the outcome out", "tells rewards"),
        ("formatter", Sourced, "leaves the outcome out", "its id, run or model"),
        ("formatter", Blind, "reads back what it writes", "gives None for a text of its own format"),
        ("formatter", Triples, "reads back what it writes", "(observation, action) pairs"),
        ("formatter", Jumbled, "writes the same elsewhere", "the order of a set"),
        ("style", Nameless, "describes itself", "`name` is empty"),
        ("style", Shouting, "reads back what it writes", "it read the action"),
        ("style", Lowering, "reads back its own marks", "it read the action 'go to the desk'"),
        ("style", Marked, "reads back its own marks", "it read the action"),
        ("style", Mindless, "reads back what it writes", "must give a Turn, not a NoneType"),
        ("style", Brittle, "never raises", "it raised IndexError"),
        ("style", Unnoted, "never raises", "must have a note"),
        ("style", Bare, "notes what it repairs", "no note says"),
        ("style", Forgetful, "writes every step", "turns for"),
    ],
)
def test_each_fault_is_named(kind: str, fault: Callable[[], Any], check: str, detail: str) -> None:
    result = next(result for result in CHECKS[kind](fault) if result.name == check)
    assert result.passed is False
    assert detail in result.detail
    if "Error" in detail or "Exit" in detail:
        assert Path(__file__).name in result.traceback


def test_checks_that_do_not_apply_say_so() -> None:
    assert {r.name: r.passed for r in check_strategy(Honest)}["keeps steps apart"] is None
    assert {r.name: r.passed for r in check_style(Bare)}["reads structured answers"] is None


def test_the_material_is_the_same_every_time_and_valid() -> None:
    assert ordinary() == ordinary()
    assert len({episode.id for episode in [*ordinary(), *odd()]}) == len(ordinary()) + len(odd())
    assert {episode.success for episode in ordinary()} == {True, False}
    assert [Trajectory.from_json(episode.to_json()) for episode in odd()] == odd()
