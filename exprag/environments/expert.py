"""One episode without a graph: a policy of plain actions (an expert, a recorded path) played to a Trajectory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from exprag.contracts.environment import TextEnvironment
from exprag.environments import calls
from exprag.environments.calls import Outcome
from exprag.errors import EnvError, ExpragError
from exprag.faults import log_fault
from exprag.trajectory import Ending, EpisodeError, Provenance, Source, Step, Task, Trajectory, now

Policy = Callable[[], Iterator[str]]


def play(
    environment: TextEnvironment,
    task: Task,
    policy: Policy | Iterable[str],
    *,
    source: Source = "expert",
    model: str = "",
    run: str = "",
    seed: int | None = None,
    max_steps: int = 500,
) -> Trajectory:
    """Play the policy's actions until the environment ends the episode, the policy stops, or `max_steps`.

    `policy` is a list of actions, or a callable that gives an iterator of actions and is called after the reset. Whatever the
    environment or the policy raises or answers wrongly ends the episode; the trajectory keeps the error.
    """
    started = time.perf_counter()
    steps: list[Step] = []
    outcome = Outcome("")
    ended: Ending = "truncated"
    error: EpisodeError | None = None
    fingerprint = ""
    try:
        fingerprint = calls.fingerprint(environment)
        outcome = calls.reset(environment, task, seed)
        task = outcome.task or task
        player = "its expert" if source == "expert" else "the policy"
        actions = calls.actions_of(environment, policy if callable(policy) else partial(iter, policy), player)
        while len(steps) < max_steps:
            action = next(actions, None)
            if action is None:
                ended = "gave_up"
                break
            before, outcome = outcome, calls.step(environment, action, outcome)
            steps.append(Step(observation=before.observation, action=action, reward=outcome.reward, valid=outcome.valid))
            if outcome.terminated or outcome.truncated:
                ended = "terminated" if outcome.terminated else "truncated"
                break
    except ExpragError as problem:
        log_fault(problem)
        ended, error = "error", EpisodeError(boundary=problem.boundary, message=str(problem))
    return Trajectory(
        task=task,
        steps=tuple(steps),
        final_observation=outcome.observation,
        success=outcome.success,
        score=outcome.score,
        ended=ended,
        source=source,
        fingerprint=fingerprint,
        provenance=Provenance(run=run, model=model, created=now(), seconds=round(time.perf_counter() - started, 3), seed=seed),
        error=error,
    )


def expert_name(environment: TextEnvironment, expert: str | None = None) -> str:
    """The expert of that name, by default the first. Raises EnvError where the environment has none, or none of that name."""
    if not environment.experts:
        raise EnvError(f"Environment {environment.name!r} has no expert to collect from.")
    name = expert or environment.experts[0]
    if name not in environment.experts:
        names = ", ".join(environment.experts)
        raise EnvError(f"Environment {environment.name!r} has no expert {name!r}.", cure=f"It has: {names}.")
    return name


def play_expert(
    environment: TextEnvironment,
    task: Task,
    expert: str | None = None,
    *,
    seed: int | None = None,
    run: str = "",
    max_steps: int = 500,
) -> Trajectory:
    """Play the environment's own expert (the default one if not named)."""
    name = expert_name(environment, expert)
    return play(
        environment, task, lambda: environment.expert(name), model=f"expert:{name}", run=run, seed=seed, max_steps=max_steps
    )


def validate(environment: TextEnvironment, task: Task) -> Trajectory:
    """The model-free check of one task: its default expert plays it and must win. Raises EnvError if it does not."""
    trajectory = play_expert(environment, task)
    if not trajectory.success:
        why = trajectory.error.message if trajectory.error else f"it ended as {trajectory.ended} with score {trajectory.score}"
        raise EnvError(f"The expert {environment.experts[0]!r} did not win {task.key}: {why}.")
    return trajectory
