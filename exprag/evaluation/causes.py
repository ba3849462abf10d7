"""Why an episode was lost: one cause for each, by rules that read the record alone. No model is asked, no environment is known.

    environment_broke, model_broke, broke_off   it ended in an error of the environment, of the model, of something else
    no_action         the model gave no action in half of its turns or more, or none to begin with
    invalid_actions   half of the actions or more were not understood
    repeats           half of the turns or more, or all of the last seventh, did what had been done before at the same observation
    wrong_object      it handled things, and never the one that the instruction names
    never_found       no observation names the object of the instruction
    not_handled       the object was seen, and no action handled it
    out_of_steps      none of these, and the step limit ended it
    ended_unsolved    none of these, and the environment or the policy ended it
    unknown_outcome   the record does not say whether it was solved

The first that holds, in this order, is the cause; the others that hold too are its `signs`. What the instruction is about, and
what an action handles, `exprag.evaluation.things` reads off the words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exprag.evaluation.metrics import LOOP
from exprag.evaluation.things import Vocabulary, handled, names, without, words
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.evaluation.results import RunResult

HALF, LAST = 0.5, 0.15
CAUSES = {
    "environment_broke": "the environment broke",
    "model_broke": "the model could not be asked",
    "broke_off": "broke off with an error",
    "no_action": "the model gave no action",
    "invalid_actions": "actions were not understood",
    "repeats": "repeated the same actions",
    "wrong_object": "handled the wrong object",
    "never_found": "never found the object",
    "not_handled": "saw the object and did not handle it",
    "out_of_steps": "ran out of steps",
    "ended_unsolved": "ended without reaching the goal",
    "unknown_outcome": "outcome not known",
}
"""The causes in their order, each with its words."""


@dataclass(frozen=True)
class Cause:
    """Why an episode was lost, with the evidence in words and the step to look at (counted from 0)."""

    name: str
    why: str
    step: int = 0
    signs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Losses:
    """The lost episodes of an arm, by cause: ids of episodes, the causes in the order of `CAUSES`."""

    arm: str
    lost: int
    episodes: dict[str, tuple[str, ...]]

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(ids) for name, ids in self.episodes.items()}


def causes_of(episodes: Iterable[Trajectory], vocabulary: Vocabulary | None = None) -> list[Cause | None]:
    """The cause of each episode in turn; None for a solved one. `vocabulary` is of all episodes at hand; default: of these."""
    group = list(episodes)
    vocabulary = vocabulary or Vocabulary(group)
    return [find_cause(episode, vocabulary) for episode in group]


def losses_of(runs: Sequence[RunResult]) -> list[Losses]:
    """What was lost in each arm, and why."""
    vocabulary = Vocabulary(episode for run in runs for episode in run.episodes)
    losses = []
    for run in runs:
        by_cause: dict[str, list[str]] = {name: [] for name in CAUSES}
        for episode in run.episodes:
            cause = find_cause(episode, vocabulary)
            if cause is not None:
                by_cause[cause.name].append(episode.id)
        episodes = {name: tuple(ids) for name, ids in by_cause.items() if ids}
        losses.append(Losses(run.name, sum(map(len, episodes.values())), episodes))
    return losses


def find_cause(episode: Trajectory, vocabulary: Vocabulary) -> Cause | None:
    """Why the episode was lost; None where it was solved."""
    if episode.success is True:
        return None
    first, *others = _causes(episode, vocabulary)
    why = first.why
    if first.name in ("repeats", "out_of_steps", "ended_unsolved") and (last := _last_handling(episode, vocabulary)):
        why += last
    return Cause(first.name, why, first.step, tuple(dict.fromkeys(other.name for other in others)))


def _last_handling(episode: Trajectory, vocabulary: Vocabulary) -> str:
    """A sentence with what the episode did last with the object of the instruction; "" where it never handled it."""
    target = vocabulary.target(episode.task.instruction)
    steps = enumerate(episode.steps, 1)
    last = [(number, step.action) for number, step in steps if step.valid is not False and names(handled(step.action), target)]
    return f" Last with the {target}: {last[-1][1]!r}, step {last[-1][0]}." if last else ""


def _causes(episode: Trajectory, vocabulary: Vocabulary) -> Iterator[Cause]:
    steps = episode.steps
    last = max(len(steps) - 1, 0)
    if episode.ended == "error" or episode.error:
        boundary = episode.error.boundary if episode.error else ""
        message = episode.error.message if episode.error else "The record does not say which error."
        name = {"environment": "environment_broke", "model": "model_broke"}.get(boundary, "broke_off")
        if boundary == "model" and steps and not steps[-1].action:
            name = "no_action"
        yield Cause(name, message, last)
    empty = [number for number, step in enumerate(steps) if not step.action]
    if not steps and episode.ended == "gave_up":
        yield Cause("no_action", "It gave no action at all.")
    elif empty and len(empty) >= HALF * len(steps):
        yield Cause("no_action", f"{len(empty)} of {len(steps)} turns held no action.", empty[0])
    invalid = [number for number, step in enumerate(steps) if step.valid is False and step.action]
    if invalid and len(invalid) >= HALF * len(steps):
        yield Cause("invalid_actions", f"{len(invalid)} of {len(steps)} actions were not understood.", invalid[0])
    yield from _repeats(episode)
    yield from _object(episode, vocabulary)
    if episode.success is None and episode.ended != "truncated":
        yield Cause("unknown_outcome", "The record does not say whether the goal was reached.", last)
    elif episode.ended == "truncated":
        yield Cause("out_of_steps", f"The limit of {len(steps)} steps ended it.", last)
    else:
        ending = "The policy stopped" if episode.ended == "gave_up" else "It ended"
        action = f" after {steps[-1].action!r}" if steps else ""
        yield Cause("ended_unsolved", f"{ending}{action}, and the goal was not reached.", last)


def _repeats(episode: Trajectory) -> Iterator[Cause]:
    """The same action at the same observation, `LOOP` times or more for one of them: in half of the turns or more, or in all of
    the last seventh."""
    turns = [(step.observation, step.action) for step in episode.steps]
    counts = Counter(turns)
    if not turns or max(counts.values()) < LOOP:
        return
    again = [turns.index(turn) < number for number, turn in enumerate(turns)]
    tail = next((number for number, repeated in enumerate(reversed(again)) if not repeated), len(turns))
    if sum(again) < HALF * len(turns) and tail < max(LOOP, LAST * len(turns)):
        return
    pair, count = counts.most_common(1)[0]
    action = pair[1] or "(no action)"
    why = f"{sum(again)} of {len(turns)} turns did what had been done before: {action!r} {count} times."
    yield Cause("repeats", why, turns.index(pair))


def _object(episode: Trajectory, vocabulary: Vocabulary) -> Iterator[Cause]:
    """What became of the object of the instruction, the thing that it is about."""
    instruction, steps = episode.task.instruction, episode.steps
    target = vocabulary.target(instruction)
    actions = [(number, handled(step.action)) for number, step in enumerate(steps) if step.valid is not False]
    if not target or any(names(things, target) for _, things in actions):
        return
    others = [number for number, things in actions if things and things.isdisjoint(words(instruction))]
    texts = [*(step.observation for step in steps), episode.final_observation]
    sight = next((number for number, text in enumerate(texts) if names(words(without(text, instruction)), target)), None)
    last = len(steps) - 1
    if sight is None and episode.ended != "terminated":
        yield Cause("never_found", f"No observation of its {len(steps)} steps names the {target}.", last)
    elif others or (episode.ended == "terminated" and last >= 0 and handled(steps[last].action)):
        place = last if episode.ended == "terminated" else others[0]
        yield Cause("wrong_object", f"The instruction is about the {target}; it handled others: {steps[place].action!r}.", place)
    elif sight is not None and steps:
        yield Cause("not_handled", f"The {target} was in sight at step {sight + 1}, and no action handled it.", min(sight, last))
