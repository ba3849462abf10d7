"""The checks of the environment kit, each a function of a `Subject`: it returns what it saw, or raises AssertionError
saying what is expected. Those that play whole episodes are in `environment_episodes`."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from exprag.contracts.environment import Info
from exprag.contracts.templates import SLOT
from exprag.environments import calls
from exprag.errors import ConfigError, EnvError
from exprag.testing.environment_episodes import (
    expert_wins,
    goes_on_after_the_end,
    is_deterministic,
    replays,
    templates_cover_the_actions,
)
from exprag.testing.kit import NotApplicable
from exprag.testing.subject import ODD_ACTIONS, SEED, Subject, children
from exprag.trajectory import Task


def describes_itself(subject: Subject) -> str:
    started, before = time.perf_counter(), children()
    environment = subject.make()
    seconds = time.perf_counter() - started
    assert environment.name, "`name` is empty: it must be the id under which the environment is registered"
    assert environment.splits, "`splits` is empty"
    assert all(isinstance(t, str) and t for t in environment.action_templates), "action templates must be non-empty strings"
    for template in environment.action_templates:
        rest = SLOT.sub("", template)
        assert not {"{", "}"} & set(rest), f"a slot of the template {template!r} is not one word in braces: {rest!r} is left over"
    assert children() == before, "construction started a process; start simulators at the first reset"
    return f"{environment.name}, splits {', '.join(environment.splits)}, made in {1000 * seconds:.0f} ms"


def lists_tasks(subject: Subject) -> str:
    environment = subject.make()
    subject.sample(environment)
    counts: dict[str, int | None] = {}
    for split in environment.splits:
        tasks = subject.first(environment, split, 500)
        if tasks is None:
            counts[split] = None
            continue
        assert tasks == subject.first(environment, split, 500), f"tasks({split!r}) changes its order"
        ids = [task.id for task in tasks]
        assert len(set(ids)) == len(ids), f"ids of split {split!r} are not unique"
        assert all(task.environment == environment.name for task in tasks), "`Task.environment` must be the environment's name"
        assert all(task.split == split for task in tasks), "`Task.split` must be the split that was listed"
        if tasks:
            only = next(environment.tasks(split, {tasks[-1].type}))
            assert only.type == tasks[-1].type, "tasks(split, types) gave a task of another type"
            assert environment.task(tasks[0].id).key == tasks[0].key, "task(id) gave another task"
        counts[split] = len(tasks)
    words = {None: "not on this machine", 500: "500+"}
    return ", ".join(f"{split} {words.get(n, n)}" for split, n in counts.items())


def refuses_unknown_names(subject: Subject) -> str:
    environment = subject.make()
    for wrong, ask in (
        ("split", lambda: list(environment.tasks("no-such-split"))),
        ("task id", lambda: environment.reset(options={"task": "no-such-task"})),
    ):
        message = ""
        try:
            ask()
        except (ConfigError, EnvError) as error:
            message = str(error)
        assert len(message) > 10, f"an unknown {wrong} must raise ConfigError or EnvError with a message"
    environment.close()
    return "an unknown split and an unknown task are named"


def keeps_the_shapes(subject: Subject) -> str:
    with subject.make() as environment:
        task = subject.sample(environment)[0]
        reset = environment.reset(seed=SEED, options={"task": task})
        assert isinstance(reset, tuple), "reset must return (observation, info)"
        assert len(reset) == 2, "reset must return (observation, info)"
        observation, info = reset
        assert isinstance(observation, str), "the observation must be a string"
        assert observation, "the first observation is empty"
        resolved = Task.from_dict(info["task"])
        assert resolved.key == task.key, 'info["task"] of reset must be the task that was started'
        assert resolved.instruction, 'info["task"] of reset must have its instruction'
        for action in [*ODD_ACTIONS[:3], *subject.actions(environment, task)[:3]]:
            environment.reset(seed=SEED, options={"task": task.id})
            _check_step(environment.step(action))
        calls.max_steps(environment, task)
    return "reset gives (str, dict), step gives (str, float, bool, bool, dict); scores are in [-1, 1]"


def _check_step(step: Any) -> Info:
    assert isinstance(step, tuple), "step must return five values"
    assert len(step) == 5, "step must return (observation, reward, terminated, truncated, info)"
    observation, reward, terminated, truncated, info = step
    assert isinstance(observation, str), "the observation must be a string"
    assert isinstance(reward, int | float), "the reward must be a number"
    assert math.isfinite(reward), f"the reward must be a finite number, not {reward}"
    assert isinstance(terminated, bool), "terminated must be a bool"
    assert isinstance(truncated, bool), "truncated must be a bool"
    assert isinstance(info, dict), "info must be a dict"
    assert isinstance(info.get("score"), int | float), 'info["score"] must be there, a number'
    assert -1.0 <= info["score"] <= 1.0, 'info["score"] must be in [-1, 1]'
    assert isinstance(info.get("success"), bool), 'info["success"] must be a bool'
    assert info.get("valid") in (True, False, None), 'info["valid"] must be a bool or absent'
    return dict(info)


def fingerprint_is_stable(subject: Subject) -> str:
    one, other = subject.make(), subject.make()
    assert calls.fingerprint(one) == calls.fingerprint(other), "two objects with the same options have different fingerprints"
    assert one.fingerprint().startswith(f"{one.name}@"), "make it with exprag.authoring.make_fingerprint"
    return one.fingerprint()


def survives_bad_actions(subject: Subject) -> str:
    with subject.make() as environment:
        task = subject.sample(environment)[0]
        environment.reset(seed=SEED, options={"task": task})
        for action in ODD_ACTIONS:
            try:
                _, _, terminated, truncated, _ = environment.step(action)
            except Exception as error:
                raise AssertionError(f"step({action[:30]!r}) raised {type(error).__name__}: {error}") from error
            if terminated or truncated:
                environment.reset(seed=SEED, options={"task": task})
    return f"{len(ODD_ACTIONS)} odd actions: empty, long, control characters, other scripts"


def admissible_actions_are_understood(subject: Subject) -> str:
    with subject.make() as environment:
        task = subject.sample(environment)[0]
        environment.reset(seed=SEED, options={"task": task})
        admissible = calls.admissible_actions(environment)
        if admissible is None:
            raise NotApplicable("it cannot tell its admissible actions")
        assert admissible, "no action is admissible in the first state"
        assert len(set(admissible)) == len(admissible), "an admissible action is listed twice"
        for action in admissible[:: max(1, len(admissible) // 5)]:
            environment.reset(seed=SEED, options={"task": task})
            info = environment.step(action)[-1]
            assert info.get("valid") is not False, f"the admissible action {action!r} was not understood"
    return f"{len(admissible)} in the first state"


def closes_without_a_leak(subject: Subject) -> str:
    processes, threads = children(), threading.active_count()
    environment = subject.make()
    task = subject.sample(environment)[0]
    for _ in range(3):
        environment.reset(seed=SEED, options={"task": task})
        environment.step("look")
        environment.close()
        environment.close()
    deadline = time.monotonic() + 5
    while (children() - processes or threading.active_count() > threads) and time.monotonic() < deadline:
        time.sleep(0.05)
    orphans = children() - processes
    assert not orphans, f"processes left after close: {sorted(orphans)}"
    assert threading.active_count() <= threads + 1, f"{threading.active_count() - threads} threads left after close"
    return "closed twice, reset after close, nothing left behind"


def is_a_gymnasium_environment(subject: Subject) -> str:
    """Gymnasium's own checker, over a thin wrapper that supplies the spaces."""
    try:
        from gymnasium.utils.env_checker import check_env
    except ImportError as error:
        raise NotApplicable("gymnasium is not installed") from error
    from exprag.gymnasium import TextGym

    with subject.make() as environment:
        check_env(TextGym(environment, tasks=subject.sample(environment)[:1]), skip_render_check=True)
    return "passes gymnasium.utils.env_checker.check_env"


def speed(subject: Subject) -> str:
    with subject.make() as environment:
        task = subject.sample(environment)[0]
        environment.reset(seed=SEED, options={"task": task})
        started = time.perf_counter()
        environment.reset(seed=SEED, options={"task": task})
        reset = time.perf_counter() - started
        started, steps = time.perf_counter(), 0
        while steps < 200 and time.perf_counter() - started < 2:
            if any(environment.step("look")[2:4]):
                environment.reset(seed=SEED, options={"task": task})
            steps += 1
        step = (time.perf_counter() - started) / steps
    return f"reset {1000 * reset:.1f} ms, step {1000 * step:.2f} ms"


CHECKS: tuple[Callable[[Subject], str], ...] = (
    describes_itself,
    lists_tasks,
    refuses_unknown_names,
    keeps_the_shapes,
    is_deterministic,
    replays,
    expert_wins,
    fingerprint_is_stable,
    templates_cover_the_actions,
    survives_bad_actions,
    admissible_actions_are_understood,
    goes_on_after_the_end,
    closes_without_a_leak,
    is_a_gymnasium_environment,
    speed,
)
