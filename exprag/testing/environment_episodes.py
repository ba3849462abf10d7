"""The checks of the environment kit that play whole episodes: the same ones again, by replay, by the expert, after the end."""

from __future__ import annotations

from collections.abc import Sequence

from exprag.contracts.environment import TextEnvironment
from exprag.contracts.templates import match
from exprag.environments import calls
from exprag.environments.expert import play, play_expert
from exprag.environments.sessions import Sessions, first_difference
from exprag.errors import EnvError
from exprag.testing.kit import NotApplicable
from exprag.testing.subject import SEED, Subject
from exprag.trajectory import Task, Trajectory

UNDERSTOOD = 0.95  # the share of an expert's actions that must be understood: scripted experts slip now and then
COVERED = 0.5  # the share of actions that must fit a template: games also know synonyms that no template lists


def is_deterministic(subject: Subject) -> str:
    with subject.make() as one, subject.make() as other:
        tasks = subject.sample(one)
        for task in tasks:
            actions = subject.actions(one, task)
            first = _episode(one, task, actions)
            for where, environment in (("the same object", one), ("another object", other)):
                difference = _difference(first, _episode(environment, task, actions))
                assert not difference, (
                    f"{task.key}: the same seed and actions gave other observations or rewards in {where}: {difference}"
                )
    return f"{len(tasks)} tasks, twice in one object and once in another"


def _episode(environment: TextEnvironment, task: Task, actions: Sequence[str]) -> Trajectory:
    episode = play(environment, task, actions, seed=SEED)
    assert episode.error is None, f"{task.key} broke off after {len(episode.steps)} steps: {episode.error.message}"
    return episode


def _difference(first: Trajectory, again: Trajectory) -> str:
    """Where two episodes of the same actions part; empty if nowhere."""
    for number, (step, other) in enumerate(zip(first.steps, again.steps, strict=False)):
        if step.observation != other.observation:
            return f"observation {number}, {first_difference(step.observation, other.observation)}"
        if step.reward != other.reward:
            return f"the reward of action {number}, {step.action!r}, was {step.reward}, now it is {other.reward}"
        if step.valid != other.valid:
            return f"info['valid'] of action {number}, {step.action!r}, was {step.valid}, now it is {other.valid}"
    if len(first.steps) != len(again.steps):
        return f"the episode had {len(first.steps)} steps, now it has {len(again.steps)}"
    if first.final_observation != again.final_observation:
        return f"the last observation, {first_difference(first.final_observation, again.final_observation)}"
    if (first.score, first.success) != (again.score, again.success):
        return f"score and success were {first.score} and {first.success}, now they are {again.score} and {again.success}"
    return ""


def replays(subject: Subject) -> str:
    with subject.make() as environment:
        task = subject.sample(environment)[0]
        episode = _episode(environment, task, subject.actions(environment, task))
    actions, observations = episode.actions, [step.observation for step in episode.steps]
    assert actions, f"{task.key}: the episode ended before its first action"
    sessions = Sessions(subject.make)
    try:
        last = sessions.step("x", task, actions[-1], actions=actions[:-1], observations=observations, seed=SEED)
        if last.observation != episode.final_observation:
            difference = first_difference(episode.final_observation, last.observation)
            raise AssertionError(f"the replayed episode ends with another observation: {difference}")
    finally:
        sessions.close()
    return f"rebuilt at step {len(actions) - 1} from task and actions"


def expert_wins(subject: Subject) -> str:
    with subject.make() as environment:
        if not environment.experts:
            raise NotApplicable("it has no expert")
        lines = []
        for expert in environment.experts:
            episodes = [play_expert(environment, task, expert, seed=SEED) for task in subject.sample(environment)]
            broken = [e for e in episodes if e.error]
            assert not broken, f"{broken[0].task.key}: {broken[0].error and broken[0].error.message}"
            steps = [step for episode in episodes for step in episode.steps]
            refused = [step.action for step in steps if step.valid is False]
            assert len(steps) - len(refused) >= UNDERSTOOD * len(steps), (
                f"the expert {expert!r} plays actions that its environment does not understand ({len(refused)} of "
                f'{len(steps)} have info["valid"] False): {_examples(refused)}'
            )
            won = sum(bool(e.success) for e in episodes)
            assert won > len(episodes) / 2, f"the expert {expert!r} won {won} of {len(episodes)} tasks"
            slips = f", not understood: {_examples(refused)}" if refused else ""
            lines.append(f"{expert} won {won} of {len(episodes)}{slips}")
    return ", ".join(lines)


def templates_cover_the_actions(subject: Subject) -> str:
    with subject.make() as environment:
        templates = environment.action_templates
        if not templates:
            raise NotApplicable("it has no action templates")
        pool: dict[str, None] = {}  # in order, each once
        for task in subject.sample(environment):
            if environment.experts:
                episode = play_expert(environment, task, seed=SEED)
                pool |= {step.action: None for step in episode.steps if step.valid is not False}
            environment.reset(seed=SEED, options={"task": task})
            pool |= dict.fromkeys(calls.admissible_actions(environment) or ())
        if not pool:
            raise NotApplicable("no action is known: it has no expert and cannot tell its admissible actions")
        strange = [action for action in pool if match(action, templates) is None]
        covered = len(pool) - len(strange)
        assert covered >= COVERED * len(pool), (
            f"{covered} of {len(pool)} actions fit a template, but the templates are all that a prompt says of actions. "
            f'These fit none: {_examples(strange)}. Write each form with its slots in braces, "go to {{place}}"'
        )
        return f"{covered} of {len(pool)} actions fit a template" + (f", these do not: {_examples(strange)}" if strange else "")


def goes_on_after_the_end(subject: Subject) -> str:
    with subject.make() as environment:
        if not environment.experts:
            raise NotApplicable("it has no expert to reach an end with")
        task = subject.sample(environment)[0]
        first = play_expert(environment, task, seed=SEED)
        environment.step("look")  # whatever it says, it must not raise
        difference = _difference(first, play_expert(environment, task, seed=SEED))
        assert not difference, f"after an end, the next reset does not start afresh: {difference}"
    return "a step after the end does no harm, and the next reset starts afresh"


def check_task(environment: TextEnvironment, task: Task, expert: str | None, seed: int | None) -> str:
    """What the expert made of a task: "won in 12 steps". Raises AssertionError where it did not win."""
    try:
        episode = play_expert(environment, task, expert, seed=seed)
        limit = calls.max_steps(environment, task)
    except EnvError as error:
        raise AssertionError(str(error)) from error
    steps = f"{len(episode.steps)} steps"
    assert episode.error is None, f"broke off after {steps}: {episode.error.message}"
    assert episode.success, f"not won: {episode.ended} after {steps} with score {episode.score:g}"
    beyond = f", beyond the limit of {limit}" if len(episode.steps) > limit else ""
    refused = [step.action for step in episode.steps if step.valid is False]
    return f"won in {steps}{beyond}" + (f"; not understood: {_examples(refused)}" if refused else "")


def _examples(actions: Sequence[str], count: int = 3) -> str:
    text = ", ".join(repr(action if len(action) <= 60 else action[:59] + "…") for action in actions[:count])
    return text + (" …" if len(actions) > count else "")
