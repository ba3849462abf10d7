"""Episodes in other words: the same word and seed give the same new one, in an episode and in another beside it."""

from __future__ import annotations

import re

from exprag.environments.expert import play_expert
from exprag.environments.renaming import Renaming, numbered_names
from exprag.trajectory import Step, Task, Trajectory
from toy import Toy

TEMPLATES = ("go to {place}", "take {thing} from {place}", "look")
EPISODE = Trajectory(
    task=Task(environment="toy", id="test/0", type="fetch", instruction="Put a Mug on the desk"),
    steps=(
        Step(observation="You see a desk 1 and a shelf 12.", action="go to shelf 12", valid=True),
        Step(observation="On the shelf 12 is a mug 3.", action="take mug 3 from shelf 12", response="so I take it", valid=True),
    ),
    final_observation="You hold the mug 3.",
    success=True,
)


def test_verbs_alone() -> None:
    renaming = Renaming.draw(TEMPLATES, "seed")
    renamed = renaming.trajectory(EPISODE)
    go, take = renaming.verbs["go"], renaming.verbs["take"]
    assert [step.action for step in renamed.steps] == [f"{go} to shelf 12", f"{take} mug 3 from shelf 12"]
    assert [step.observation for step in renamed.steps] == [step.observation for step in EPISODE.steps]
    assert renamed.task == EPISODE.task
    assert renamed.steps[1].response is None  # it has the old words
    new = renaming.templates(TEMPLATES)
    assert set(new) == {f"{go} to {{place}}", f"{take} {{thing}} from {{place}}", renaming.verbs["look"]}
    orders = {tuple(map(len, Renaming.draw(TEMPLATES, str(seed)).templates(TEMPLATES))) for seed in range(20)}
    assert len(orders) > 1  # which stands where does not tell


def test_the_instruction_has_the_new_verbs_too() -> None:
    task = EPISODE.task.model_copy(update={"instruction": "Take the mug, go"})
    renaming = Renaming.draw(TEMPLATES, "seed")
    opening = EPISODE.steps[0].model_copy(update={"observation": "You can go. Take the mug, go"})
    renamed = renaming.trajectory(EPISODE.model_copy(update={"task": task, "steps": (opening,)}))
    asked = f"{renaming.verbs['take']} the mug, {renaming.verbs['go']}"
    assert renamed.task.instruction == asked
    assert renamed.steps[0].observation == f"You can go. {asked}"


def test_names_take_one_anothers_places() -> None:
    changed = False
    for seed in "abcdef":
        renaming = Renaming.draw((), seed, exchange=EPISODE)
        renamed = renaming.trajectory(EPISODE)
        assert numbered_names([renamed.steps[0].observation]) == {"desk", "shelf"}  # places are called like places
        assert renaming.exchanged["mug"] == "mug"  # the only thing
        assert [step.action.split()[0] for step in renamed.steps] == ["go", "take"]
        assert renaming.templates(TEMPLATES) == TEMPLATES
        changed |= renamed.steps[0].action == "go to desk 12"
        stranger = EPISODE.model_copy(update={"final_observation": "You hold the lamp 3."})
        assert not re.search(r"lamp|mug|desk|shelf", renaming.trajectory(stranger).final_observation)
    assert changed


def test_names_too_and_everywhere() -> None:
    renamed = Renaming.draw(TEMPLATES, "seed", names=True).trajectory(EPISODE)
    text = renamed.to_json()
    assert not re.search(r"\b(mug|desk|shelf)\b", text, re.IGNORECASE)
    (mug,) = re.findall(r"is a (\w+) 3", renamed.steps[1].observation)
    assert renamed.task.instruction.startswith(f"Put a {mug} on the ")
    assert renamed.steps[1].action.split()[1:] == [mug, "3", "from", *renamed.steps[0].action.split()[2:]]
    assert renamed.final_observation == f"You hold the {mug} 3."


def test_an_episode_and_its_memory_agree_and_seeds_differ() -> None:
    one, other = (play_expert(Toy(), Toy().task(f"test/{n}")) for n in (0, 1))
    templates = Toy().action_templates
    renaming = Renaming.draw(templates, "a", names=True)
    verbs = [renaming.trajectory(t).steps[0].action.split()[0] for t in (one, other)]
    assert verbs[0] == verbs[1] != one.steps[0].action.split()[0]
    assert Renaming.draw(templates, "a", names=True) == renaming
    assert Renaming.draw(templates, "b").verbs != renaming.verbs


def test_what_bears_a_number() -> None:
    assert numbered_names(["a Mug 1 and 2 x 3, shelf 12; 2nd", "go 1"]) == {"mug", "shelf"}


def test_verbs_of_one_form_take_one_anothers_places() -> None:
    templates = ("go to {place}", "take {thing} from {place}", "open {place}", "close {place}", "shut {thing}", "shut {place}")
    seen = set()
    for seed in range(20):
        renaming = Renaming.draw(templates, str(seed), verbs="exchanged")
        seen.add(tuple(sorted(renaming.verbs.items())))
        assert renaming.templates(templates) == templates  # nothing there tells
        assert renaming.trajectory(EPISODE) == EPISODE.model_copy(update={"steps": renaming.trajectory(EPISODE).steps})
    verbs = {"go": "go", "take": "take", "open": "open", "close": "close"}
    assert seen == {tuple(sorted(verbs.items())), tuple(sorted((verbs | {"open": "close", "close": "open"}).items()))}
    assert not Renaming.draw(templates, "a", verbs="kept").verbs
