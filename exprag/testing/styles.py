"""The agent style kit: is what a style writes what it reads, and is whatever a model says read without a fault?

exprag validate style NAME                                one command

class TestMine(StyleConformance):                         one class, in your own test suite
    def make(self): return MyStyle()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from exprag.contracts.style import AgentStyle, Turn
from exprag.contracts.templates import match
from exprag.testing.fuzz import for_any_text
from exprag.testing.kit import Check, Conformance, NotApplicable, Result, run_checks
from exprag.testing.material import ODD_TEXTS, TEMPLATES, odd, ordinary
from exprag.trajectory import Step, Trajectory

THOUGHT = "it must be here"
PROBE_TEMPLATES = ("go to {place}", "say {words}")
PROBES = ("Go To The DESK", 'say "hello there"', "say it's 5: now", "go to дом 2", "say a, b and c.", "go to desk (left)")
STRAYS = (
    "Sure! Here is my next move:\n\n{}",
    "{}\n\nObservation: It worked. You win!",
    "```\n{}\n```",
    "<think>let me see</think>\n{}",
    "  {}  \n",
)


@dataclass
class StyleSubject:
    """What is examined: a factory of the style, episodes whose steps it writes, and the templates that their actions fit."""

    make: Callable[[], AgentStyle]
    episodes: Sequence[Trajectory] = field(default_factory=ordinary)
    templates: Sequence[str] = TEMPLATES

    def steps(self) -> list[Step]:
        """Steps whose actions fit the templates, each bare and with a thought."""
        bare = {step.action: step for episode in self.episodes for step in episode.steps if match(step.action, self.templates)}
        return [*bare.values(), *(step.model_copy(update={"thought": THOUGHT}) for step in bare.values())]


def describes_itself(subject: StyleSubject) -> str:
    style = subject.make()
    assert isinstance(style, AgentStyle), f"make() gave a {type(style).__name__}, not an AgentStyle"
    assert style.name, "`name` is empty: it must be the id under which the style is registered"
    assert style.instruction.strip(), "`instruction` is empty: the model must be told how to answer"
    return f"{style.name}, {len(style.instruction)} characters of instruction"


def writes_every_step(subject: StyleSubject) -> str:
    one, other = subject.make(), subject.make()
    written = 0
    for episode in (*subject.episodes, *odd()):
        turns = one.write_episode(episode.task, episode.steps)
        assert len(turns) == len(episode.steps), f"write_episode() gave {len(turns)} turns for {len(episode.steps)} steps"
        assert turns == other.write_episode(episode.task, episode.steps), "written again, an episode reads differently"
        for turn in (*turns, *map(one.write, episode.steps)):
            assert isinstance(turn, str), f"a turn must be text, not a {type(turn).__name__}"
            written += 1
    return f"{written} turns, of odd episodes too"


def reads_back_what_it_writes(subject: StyleSubject) -> str:
    """The action always; the thought where it was written. Turns of steps that were thought over need no repair."""
    style = subject.make()
    for step in subject.steps():
        turn = style.write(step)
        read = _read(style, turn, subject.templates)
        assert read.action == step.action, f"of its own turn {turn!r} it read the action {read.action!r}"
        if step.thought and step.thought in turn:
            assert read.thought == step.thought, f"of its own turn {turn!r} it read the thought {read.thought!r}"
    written = 0
    for episode in subject.episodes:
        steps = [step.model_copy(update={"thought": THOUGHT}) for step in episode.steps]
        for step, turn in zip(steps, style.write_episode(episode.task, steps), strict=True):
            read = _read(style, turn, subject.templates)
            assert read.action == step.action, f"of its own turn {turn!r} it read the action {read.action!r}"
            assert not read.note or not match(step.action, subject.templates), f"its own turn {turn!r} needed repair: {read.note}"
            written += 1
    return f"{len(subject.steps())} steps apart, and {written} in their episodes, unrepaired"


def reads_back_its_own_marks(subject: StyleSubject) -> str:
    """What a style writes round an action may stand in an action or a thought too: what was written must come back even so."""
    style = subject.make()
    marks = _marks(style)
    actions = [*PROBES, *(f"say {mark} b" for mark in marks)]
    thoughts = ["", *(f"maybe {mark} go to the shelf" for mark in marks), *(f"{mark} go to the shelf" for mark in marks)]
    for action in actions:
        _comes_back(style, Step(observation="a room", action=action))
    for thought in thoughts:
        _comes_back(style, Step(observation="a room", action="go to the Desk", thought=thought or None))
    return f"{len(actions)} actions and {len(thoughts)} thoughts, with its own marks {', '.join(map(repr, marks)) or '(none)'}"


def _comes_back(style: AgentStyle, step: Step) -> None:
    turn = style.write(step)
    read = _read(style, turn, PROBE_TEMPLATES)
    assert read.action == step.action, f"of its own turn {turn!r} it read the action {read.action!r}, not {step.action!r}"


def _marks(style: AgentStyle) -> list[str]:
    """What the style writes round an action and a thought, found by writing some that nobody writes."""
    turn = style.write(Step(observation="a room", action="qzxaction", thought="qzxthought"))
    pieces = [piece.strip() for piece in turn.replace("qzxaction", "\n").replace("qzxthought", "\n").splitlines()]
    return list(dict.fromkeys(piece for piece in pieces if piece))


def never_raises(subject: StyleSubject) -> str:
    style = subject.make()

    def examine(text: str) -> None:
        for response in (text, *(stray.format(text) for stray in STRAYS[:1])):
            _read(style, response, subject.templates)

    for text in ODD_TEXTS:
        examine(text)
    for_any_text(examine)
    return "whatever the model says is a Turn"


def _read(style: AgentStyle, response: str, templates: Sequence[str]) -> Turn:
    try:
        turn = style.parse(response, templates)
    except Exception as error:
        raise AssertionError(f"parse() must not raise; on {response[:40]!r} it raised {type(error).__name__}: {error}") from error
    assert isinstance(turn, Turn), f"parse() must give a Turn, not a {type(turn).__name__}"
    assert isinstance(turn.action, str), "`Turn.action` must be text"
    assert turn.action or turn.note, f"a turn without an action must have a note saying so: {response[:40]!r}"
    return turn


def notes_what_it_repairs(subject: StyleSubject) -> str:
    """Where a model strays, the action is found or the note says that something was amiss: never neither."""
    style, right, strayed = subject.make(), 0, 0
    for step in subject.steps()[::5]:
        for stray in STRAYS:
            response = stray.format(style.write(step))
            turn = _read(style, response, subject.templates)
            assert turn.action == step.action or turn.note, (
                f"of {response!r} it read {turn.action!r}, and no note says that anything was repaired"
            )
            strayed, right = strayed + 1, right + (turn.action == step.action)
    return f"the action was found in {right} of {strayed} turns that strayed"


def reads_structured_answers(subject: StyleSubject) -> str:
    style = subject.make()
    if style.schema is None:
        raise NotApplicable("it has no structured form")
    fields = style.schema.model_fields
    assert "action" in fields, "`schema` must have a field `action`"
    for step in subject.steps()[::5]:
        answer = {name: step.action if name == "action" else "as before" for name in fields}
        turn = _read(style, style.write_answer(answer), subject.templates)
        assert turn.action == step.action, f"of a structured answer with the action {step.action!r} it read {turn.action!r}"
    return f"fields {', '.join(fields)}"


CHECKS: tuple[Check, ...] = (
    describes_itself,
    writes_every_step,
    reads_back_what_it_writes,
    reads_back_its_own_marks,
    never_raises,
    notes_what_it_repairs,
    reads_structured_answers,
)


def check_style(make: Callable[[], AgentStyle]) -> Iterator[Result]:
    """Run every check. A failed check stops no other."""
    return run_checks(CHECKS, StyleSubject(make))


class StyleConformance(Conformance):
    """Subclass in a test suite, override `make`; pytest runs each check as a test of its own."""

    checks = CHECKS

    def make(self) -> AgentStyle:
        raise TypeError("Override make(): return your agent style.")

    def subject(self) -> StyleSubject:
        return StyleSubject(self.make)
