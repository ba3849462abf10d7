"""One episode without a graph: a policy of plain actions (an expert, a recorded path) played to a Trajectory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from exprag.contracts.environment import TextEnvironment, answering
from exprag.errors import EnvError, ExpragError
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

    `policy` is a list of actions, or a callable that is asked for an iterator of actions after the reset. An ExpragError on
    the way ends the episode; the trajectory keeps it.
    """
    started = time.perf_counter()
    steps: list[Step] = []
    observation, score, success = "", 0.0, False
    ended: Ending = "truncated"
    error: EpisodeError | None = None
    try:
        with answering(environment, "reset"):
            observation, info = environment.reset(seed=seed, options={"task": task})
            task = Task.from_dict(info["task"])
        actions = policy() if callable(policy) else iter(policy)
        while len(steps) < max_steps:
            with answering(environment, "its expert"):
                action = next(actions, None)
            if action is None:
                ended = "gave_up"
                break
            seen = observation
            with answering(environment, "step"):
                observation, reward, terminated, truncated, info = environment.step(action)
            steps.append(Step(observation=seen, action=action, reward=reward, valid=info.get("valid")))
            score, success = float(info.get("score", score)), bool(info.get("success", success))
            if terminated or truncated:
                ended = "terminated" if terminated else "truncated"
                break
    except ExpragError as problem:
        ended, error = "error", EpisodeError(boundary=problem.boundary, message=str(problem))
    return Trajectory(
        task=task,
        steps=tuple(steps),
        final_observation=observation,
        success=success,
        score=score,
        ended=ended,
        source=source,
        fingerprint=environment.fingerprint(),
        provenance=Provenance(run=run, model=model, created=now(), seconds=round(time.perf_counter() - started, 3), seed=seed),
        error=error,
    )


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
    if not environment.experts:
        raise EnvError(f"Environment {environment.name!r} has no expert to collect from.")
    name = expert or environment.experts[0]
    if name not in environment.experts:
        known = ", ".join(environment.experts)
        raise EnvError(f"Environment {environment.name!r} has no expert {name!r}.", cure=f"It has: {known}.")
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
