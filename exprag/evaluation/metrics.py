"""What the episodes of one arm add up to: counts, beside the means that `exprag.evaluation.measures` takes. Knows no other arm.

A measure is a number of each episode, and has a mean with an interval; what is here is counted over the episodes or their steps
(outcomes, endings, errors, loops), and the means that every report shows under names of their own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from exprag.evaluation.measures import Measure, measures_of
from exprag.evaluation.statistics import Interval
from exprag.trajectory import Trajectory

LOOP = 3


@dataclass(frozen=True)
class Metrics:
    """Means are per episode, over the episodes that carry the value; None where none does.

    An episode counts as solved only if its outcome says so; `unknown` of the `n` do not say. `scored` and `metered` are how
    many episodes have a score and token counts. `errors` counts the episodes that broke off, by boundary. Scores are in
    [-1, 1], rates in [0, 1], `seconds` is wall time.

    What went wrong in the turns: `repaired_turns` counts the steps with a note, `invalid_actions` those whose action the
    environment did not understand, and `loops` the episodes that went round in a loop, see `in_loop`.

    `measures` holds the mean of each measure with the number of episodes that carry it and its 95 % interval; `tasks` is how many
    different tasks were played.
    """

    n: int = 0
    solved: int = 0
    unknown: int = 0
    success: float | None = None
    interval: Interval | None = None
    scored: int = 0
    score: float | None = None
    steps: float | None = None
    metered: int = 0
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    seconds: float | None = None
    endings: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    repaired_turns: int = 0
    invalid_actions: int = 0
    loops: int = 0
    tasks: int = 0
    measures: dict[str, Measure] = field(default_factory=dict)

    @property
    def tokens(self) -> float | None:
        """Prompt and completion together."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


def measure(episodes: Sequence[Trajectory]) -> Metrics:
    """The metrics of any set of episodes."""
    steps = [step for episode in episodes for step in episode.steps]
    measures = measures_of(episodes)
    names = ("success", "score", "steps", "prompt_tokens", "completion_tokens", "seconds")
    success, score, length, prompt_tokens, completion_tokens, seconds = (measures.get(name, Measure()) for name in names)
    return Metrics(
        n=len(episodes),
        solved=sum(episode.success is True for episode in episodes),
        unknown=sum(episode.success is None for episode in episodes),
        success=success.mean,
        interval=success.interval,
        scored=score.n,
        score=score.mean,
        steps=length.mean,
        metered=prompt_tokens.n,
        prompt_tokens=prompt_tokens.mean,
        completion_tokens=completion_tokens.mean,
        seconds=seconds.mean,
        endings=dict(sorted(Counter(episode.ended for episode in episodes).items())),
        errors=dict(sorted(Counter(episode.error.boundary for episode in episodes if episode.error).items())),
        repaired_turns=sum(bool(step.note) for step in steps),
        invalid_actions=sum(step.valid is False for step in steps),
        loops=sum(in_loop(episode) for episode in episodes),
        tasks=len({episode.task.key for episode in episodes}),
        measures=measures,
    )


def in_loop(episode: Trajectory) -> bool:
    """Whether the episode went round in a loop: it took the same action at the same observation at least `LOOP` times.

    The times need not follow each other: going to and fro between two rooms is a loop too. Two are none, because solved
    episodes often try an action again.
    """
    return any(count >= LOOP for count in Counter((step.observation, step.action) for step in episode.steps).values())


def by_type(episodes: Iterable[Trajectory]) -> dict[str, list[Trajectory]]:
    """Episodes grouped by task type, types in alphabetical order."""
    groups: dict[str, list[Trajectory]] = defaultdict(list)
    for episode in episodes:
        groups[episode.task.type].append(episode)
    return dict(sorted(groups.items()))


def mean(values: Iterable[float]) -> float | None:
    """The mean, or None of nothing."""
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None
