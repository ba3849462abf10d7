"""`feedback`: hints from the failed run alone and what the environment answered. No model is asked, and no expert.

Why the run failed comes from `exprag.evaluation.causes`, whose rules read the record alone; each cause has a rule against it. To
them come what the run has seen on the way, and which action was rewarded where the score is partial.
"""

from __future__ import annotations

from collections.abc import Sequence

from exprag.contracts.distiller import Distillate, Distiller, Refusal
from exprag.contracts.templates import match
from exprag.evaluation.causes import find_cause
from exprag.evaluation.things import Vocabulary, names, words
from exprag.items import Item
from exprag.trajectory import Trajectory
from exprag_distillers.forms import form_of, is_named, kind_of, templates_of, usual_values
from exprag_distillers.rules import make_items

RULES = {
    "never_found": "Go to every {place} once, and open it where it is closed, until you see the {object} of the task.",
    "not_handled": "Take the {object} that the task names as soon as you see it.",
    "wrong_object": "Handle only the {object} that the task names.",
    "repeats": "Do not repeat an action after which nothing changed: try another {object} or {place}.",
    "invalid_actions": "Use only names that the last observation shows, written as it writes them.",
    "no_action": "Write one action in every turn, in one of the forms.",
    "ended_unsolved": "Before the action that ends the task, check that all that the task asks for is done.",
    "out_of_steps": "Do what the task asks for as soon as you can: the steps are few.",
}
MOST = 4


class Feedback(Distiller):
    """A rule against each cause, where the object was seen, and what earned a score."""

    def distill(
        self, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = (), items: Sequence[Item] = ()
    ) -> Distillate:
        vocabulary = Vocabulary([*episodes, *others])
        rows: list[Item] = []
        refusals = []
        for episode in episodes:
            texts = [*rewarded(episode), *sightings(episode, vocabulary), *remedies(episode, vocabulary)]
            written = make_items(texts[:MOST], [episode], distiller="feedback")
            rows += written
            if not written:
                refusals.append(Refusal((episode.id,), "neither its feedback nor the cause of its failure makes a rule"))
        return Distillate(tuple(rows), tuple(refusals))


def rewarded(episode: Trajectory) -> list[str]:
    """The form of the action that earned a part of the score; its value in words where it is no instance."""
    step = next((step for step in reversed(episode.steps) if step.reward > 0), None)
    if step is None:
        return []
    fit = match(step.action, templates_of(episode.task.environment))
    plain = fit is not None and not any(any(map(str.isdigit, value)) for value in fit[1])
    form = step.action if plain else form_of(step.action, episode, usual_values([]))
    return [f"End with {form}: it is what earns the score."] if form else []


def sightings(episode: Trajectory, vocabulary: Vocabulary) -> list[str]:
    """Where the run saw the object of its task: the kind of the place that it had gone to."""
    target = vocabulary.target(episode.task.instruction)
    if not target:
        return []
    after = [*(step.observation for step in episode.steps[1:]), episode.final_observation]
    places = []
    for step, text in zip(episode.steps, after, strict=False):
        fit = match(step.action, templates_of(episode.task.environment))
        if fit and len(fit[1]) == 1 and fit[0].lower().startswith("go") and names(words(text), target):
            place = kind_of(fit[1][0]).lower()
            if not is_named(place, episode.task.instruction):
                places.append(f"Look for {target} at {place} first.")
    return list(dict.fromkeys(places))[:2]


def remedies(episode: Trajectory, vocabulary: Vocabulary) -> list[str]:
    """A rule against the cause of the failure, and against each further sign."""
    cause = find_cause(episode, vocabulary)
    return [RULES[name] for name in (cause.name, *cause.signs) if name in RULES] if cause else []
