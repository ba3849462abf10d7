"""The words of ALFWorld's games: action templates, and the map from the older wording to today's.

alfworld 0.4 (game files of release 2.1.2) renamed one action and two texts. Trajectories stored before then teach an agent
an action that is no longer understood, so they are translated or refused, never used as they are:

    older                                                    today
    put X in/on Y                (action)                    move X to Y
    You put the X in/on the Y.                               You move the X to the Y.
    On the R, … / The R is …     (after "go to R"; also      You arrive at R. On the R, … / The R is …
    with "You arrive at loc N." before it)
    the help's line on put                                   the help's line on move
    opening without its banner, or with single line breaks   the game's own opening (where the goal is known)
    think: …  →  OK.             (ReAct's, no game action)   the thought of the step that follows
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from exprag.contracts.environment import make_fingerprint
from exprag.errors import RecordError
from exprag.trajectory import Step, Trajectory
from exprag_envs.alfworld.engine import NOTHING_HAPPENS

VERSION, OLDER_VERSION = "2.1.2", "2.1.1"
ACTION_TEMPLATES = (
    "go to {receptacle}",
    "open {receptacle}",
    "close {receptacle}",
    "take {object} from {receptacle}",
    "move {object} to {receptacle}",
    "clean {object} with {receptacle}",
    "heat {object} with {receptacle}",
    "cool {object} with {receptacle}",
    "slice {object} with {object}",
    "use {object}",
    "examine {object}",
    "examine {receptacle}",
    "inventory",
    "look",
    "help",
)
FINGERPRINT = make_fingerprint("alfworld", VERSION, ACTION_TEMPLATES)
OLDER_FINGERPRINT = make_fingerprint(
    "alfworld", OLDER_VERSION, [t.replace("move {object} to", "put {object} in/on") for t in ACTION_TEMPLATES]
)

_PUT = re.compile(r"put (.+) in/on (.+)")
_PUT_DONE = re.compile(r"You put the (.+) in/on the (.+)\.")
_ARRIVED = re.compile(r"(?:You arrive at loc \d+\. )?((?:On the|The) .+)", re.DOTALL)
_OLD_HELP = "  put (object) in/on (receptacle):"
_NEW_HELP = "  move (object) to (receptacle):"
_BANNER = "-= Welcome to TextWorld, ALFRED! =-"
_ROOM = re.compile(r"You are in the middle of a room\. .*")
_GOAL = re.compile(r"Your task is to: (.*)")
_THOUGHT = re.compile(r"think: *(.*)", re.DOTALL)

_THING, _LIST = r"[a-z]+ \d+", r"(?:nothing|an? [a-z]+ \d+.*)"
_ACTIONS = [re.compile(re.sub(r"\\{\w+\\}", lambda _: _THING, re.escape(t))) for t in ACTION_TEMPLATES]
_OBSERVATIONS = [
    re.compile(form.replace("<T>", _THING).replace("<L>", _LIST))
    for form in (
        rf"{_BANNER}\n\nYou are in the middle of a room\. .+\n\nYour task is to: .+",
        r"You are in the middle of a room\. Looking quickly around you, you see <L>\.",
        r"You are facing the .+\. Next to it, you see <L>\.",
        r"(?:You arrive at <T>\. |You open the <T>\. )?The <T> is open\. In it, you see <L>\.",
        r"(?:You arrive at <T>\. )?(?:On the <T>, you see <L>\.|The <T> is closed\.)",
        r"You (?:close the <T>|pick up the <T> from the <T>|move the <T> to the <T>|turn (?:on|off) the <T>)\.",
        r"You (?:(?:clean|heat|cool) the <T> using the <T>|sliced the <T> with the <T>|don't see any switch on the <T>)\.",
        r"You are (?:carrying: <L>|not carrying anything)\.",
        r"(?:This is a .+|This <T> is (?:on|off)|There's nothing special about <T>)\.",
        r"\n?Available commands:\n[\s\S]*",
        re.escape(NOTHING_HAPPENS),
    )
]


def is_older_wording(trajectory: Trajectory) -> bool:
    """Whether an ALFWorld trajectory uses the older words: by its fingerprint, else by what was said and done."""
    if trajectory.fingerprint in (FINGERPRINT, OLDER_FINGERPRINT):
        return trajectory.fingerprint == OLDER_FINGERPRINT
    return any(
        _PUT.fullmatch(action) or _PUT_DONE.fullmatch(answer) or (action.startswith("go to ") and _ARRIVED.fullmatch(answer))
        for action, answer in _turns(trajectory)
    )


def translate(trajectory: Trajectory) -> Trajectory:
    """The trajectory in today's words, with today's fingerprint; unchanged where it is in them already.

    Its id follows its new content. Raises RecordError with the reason where it cannot be brought into today's words:
    another environment, both wordings mixed, or a text that no ALFWorld game says.
    """
    if trajectory.task.environment != "alfworld":
        raise RecordError(f"Trajectory {trajectory.id} is of {trajectory.task.environment!r}, not of 'alfworld'.")
    if not is_older_wording(trajectory):
        return trajectory
    if any(action.startswith("move ") and answer != NOTHING_HAPPENS for action, answer in _turns(trajectory)):
        raise RecordError(f"Trajectory {trajectory.id} mixes both wordings of ALFWorld: it holds 'move' and 'put … in/on'.")
    observations = [_opening(trajectory), *(_observation(action, answer) for action, answer in _turns(trajectory))]
    steps: list[Step] = []
    thoughts: list[str] = []
    for index, step in enumerate(trajectory.steps):
        thought = _THOUGHT.fullmatch(step.action)
        if thought:
            thoughts.append(thought[1])
            observations[index + 1] = observations[index]  # what ReAct's "OK." stands for: nothing changed
            continue
        changes = {"observation": observations[index], "action": _action(step.action)}
        if thoughts:
            changes["thought"] = "\n".join(thoughts + ([step.thought] if step.thought else []))
        steps.append(step.model_copy(update=changes))
        thoughts = []
    final = observations[-1] if trajectory.final_observation else ""
    _check(trajectory, steps, final)
    return Trajectory.from_dict(
        {
            **trajectory.to_dict(),
            "id": "",
            "steps": [step.to_dict() for step in steps],
            "final_observation": final,
            "fingerprint": FINGERPRINT,
            "provenance": {
                **trajectory.provenance.to_dict(),
                "extra": {**trajectory.provenance.extra, "translated_from": OLDER_FINGERPRINT, "original_id": trajectory.id},
            },
        }
    )


def _turns(trajectory: Trajectory) -> Iterable[tuple[str, str]]:
    """Each action with the text that answered it."""
    answers = [step.observation for step in trajectory.steps[1:]] + [trajectory.final_observation]
    return zip(trajectory.actions, answers, strict=True)


def _action(action: str) -> str:
    put = _PUT.fullmatch(action)
    return f"move {put[1]} to {put[2]}" if put else action


def _observation(action: str, answer: str) -> str:
    put = _PUT_DONE.fullmatch(answer)
    if put:
        return f"You move the {put[1]} to the {put[2]}."
    arrived = _ARRIVED.fullmatch(answer) if action.startswith("go to ") else None
    if arrived:
        return f"You arrive at {action.removeprefix('go to ')}. {arrived[1]}"
    return answer.replace(_OLD_HELP, _NEW_HELP)


def _opening(trajectory: Trajectory) -> str:
    text = trajectory.steps[0].observation if trajectory.steps else ""
    room, goal = _ROOM.search(text), _GOAL.search(text)
    instruction = goal[1].strip() if goal else trajectory.task.instruction
    return f"{_BANNER}\n\n{room[0].strip()}\n\nYour task is to: {instruction}" if room and instruction else text


def _check(trajectory: Trajectory, steps: list[Step], final: str) -> None:
    """What was translated must be what a game of today can say, and every action that did something must have a form."""
    answers = [step.observation for step in steps[1:]] + [final]
    for observation in [step.observation for step in steps] + [final] * bool(final):
        if not any(form.fullmatch(observation) for form in _OBSERVATIONS):
            raise RecordError(f"Trajectory {trajectory.id} holds a text that no ALFWorld game says: {observation[:200]!r}.")
    for step, answer in zip(steps, answers, strict=True):
        has_form = any(form.fullmatch(step.action) for form in _ACTIONS)
        if not has_form and answer not in ("", NOTHING_HAPPENS):
            raise RecordError(f"Trajectory {trajectory.id} holds an action that has no form today: {step.action[:200]!r}.")
