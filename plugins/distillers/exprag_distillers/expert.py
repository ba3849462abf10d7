"""`expert`: hints from what the expert does on the task that a run failed, from the point where the two part.

No model is asked. The actions are written as forms with typed placeholders: what the task names, what every run has at that
place, and what may be any. It needs the expert, so it is a choice of its own and never what `feedback` does.
"""

from __future__ import annotations

from collections.abc import Sequence

from exprag.contracts.distiller import Distillate, Distiller, Refusal
from exprag.contracts.templates import match
from exprag.items import Item
from exprag.trajectory import Trajectory
from exprag_distillers.forms import LONGEST, explores, form_of, is_named, kind_of, templates_of, usual_values
from exprag_distillers.rules import make_items


class Expert(Distiller):
    """The order of what is to be done, and where the thing that the task names was."""

    needs_expert = True

    def distill(
        self, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = (), items: Sequence[Item] = ()
    ) -> Distillate:
        rows: list[Item] = []
        refusals = []
        for episode in episodes:
            own = next((run for run in others if run.task.key == episode.task.key and run.success), None)
            if own is None:
                refusals.append(Refusal((episode.id,), "no expert has solved its task"))
                continue
            alike = [run for run in others if run.success and run.task.type == episode.task.type]
            texts = [course_of(own, parting(episode, own), alike), *whereabouts(own)]
            written = make_items(texts, [episode], distiller="expert", others=[own])
            rows += written
            if not written:
                refusals.append(Refusal((episode.id,), f"no rule of at most {LONGEST} characters says what the expert did"))
        return Distillate(tuple(rows), tuple(refusals))


def parting(episode: Trajectory, expert: Trajectory) -> int:
    """The number of the first action in which two runs of a task differ."""
    pairs = enumerate(zip(episode.actions, expert.actions, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(episode.steps), len(expert.steps)))


def course_of(expert: Trajectory, start: int, alike: Sequence[Trajectory]) -> str:
    """What the expert does from a step on, in order, as one sentence; "" where it only looks about, or it says too much."""
    usual = usual_values(alike)
    steps = [step.action for step in expert.steps[start:] if step.valid is not False and not explores(step.action)]
    forms: list[str] = []
    for action in steps:
        form = form_of(action, expert, usual)
        if form and forms[-1:] != [form]:
            forms.append(form)
    times = next((n for n in (4, 3, 2) if len(forms) == n * (len(forms) // n) and forms == forms[: len(forms) // n] * n), 1)
    course = forms[: len(forms) // times]
    text = f"{'Do in order' if times == 1 else f'Do {times} times in order'}: {'; '.join(course)}."
    return text if course and len(text) <= LONGEST else ""


def whereabouts(expert: Trajectory) -> list[str]:
    """Where things that the task names were got from: kinds of things and of places, no instances."""
    texts = []
    for step in expert.steps:
        fit = match(step.action, templates_of(expert.task.environment))
        if fit is None or len(fit[1]) != 2 or " from " not in fit[0] or step.valid is False:
            continue
        thing, place = (kind_of(value).lower() for value in fit[1])
        if is_named(thing, expert.task.instruction) and not is_named(place, expert.task.instruction):
            texts.append(f"Look for {thing} at {place} first.")
    return list(dict.fromkeys(texts))[:2]
