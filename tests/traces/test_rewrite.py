"""Actions in another version's wording."""

from __future__ import annotations

import json

import pytest
from command_line import call

from exprag.bank import Bank, Filter
from exprag.errors import ConfigError
from exprag.integrations.files import import_file
from exprag.traces.rewrite import rewriter
from exprag.trajectory import Step, Task, ToolCall, Trajectory

RULE = r"put (.+) in/on (.+)=>move \1 to \2"


def episode(*actions: str) -> Trajectory:
    return Trajectory(task=Task(environment="e", id="1"), steps=tuple(Step(observation="o", action=action) for action in actions))


def test_a_rule_rewrites_actions_that_it_fits_as_a_whole():
    run = episode("go to desk 1", "put mug 2 in/on desk 1", "I put mug 2 in/on desk 1")
    changed = rewriter([RULE, "I (.+)=>x"])(run)
    assert changed.actions == ["go to desk 1", "move mug 2 to desk 1", "x"]
    assert changed.provenance.extra["rewritten"] == {"rules": [RULE, "I (.+)=>x"], "actions": 2}
    assert changed.id != run.id
    assert rewriter([RULE])(episode("look")) == episode("look")


def test_what_a_step_holds_beside_its_action_follows_it():
    call = ToolCall(id="c1", name="put", arguments={"on": "desk"}, result="Done.")
    steps = (
        Step(observation="o", action='put({"on": "desk"})', calls=(call,), response="<turn>"),
        Step(observation="o", action="put mug", response="Action: put mug"),
        Step(observation="o", action="look", response="Action: look"),
    )
    run = Trajectory(task=Task(environment="e", id="1"), steps=steps)
    first, second, third = rewriter([r"put\((.+)\)=>move(\1)", "put (.+)=>move \\1"])(run).steps
    assert first.calls == (call.model_copy(update={"name": "move"}),)
    assert (first.action, first.response, second.action, second.response) == ('move({"on": "desk"})', None, "move mug", None)
    assert third == steps[2]
    plain = rewriter([r"put\(.+\)=>move"])(run).steps[0]
    assert (plain.action, plain.calls) == ("move", ())


@pytest.mark.parametrize("rule", ["put", "=>x", "(=>x", r"put=>\1", "*=>x"])
def test_a_rule_that_cannot_be_read_is_refused(rule):
    with pytest.raises(ConfigError, match="rule"):
        rewriter([rule])


def test_the_import_rewrites(tmp_path):
    row = {"steps": [["put mug in/on desk", "Done."]], "obs0": "A mug.", "won": True}
    (tmp_path / "old.json").write_text(json.dumps([row]))
    Bank.create(tmp_path / "bank")
    outcome = call("bank", "import", tmp_path / "bank", tmp_path / "old.json", "--env", "e", "--rewrite", RULE)
    assert outcome.exit_code == 0, outcome.output
    assert [run.actions for run in Bank.open(tmp_path / "bank")] == [["move mug to desk"]]
    with pytest.raises(ConfigError, match="not rewritten"):
        import_file(Bank.open(tmp_path / "bank"), tmp_path / "x.parquet", rewrite=[RULE])


def test_agentinstruct_is_recalled_and_copied_in_the_new_wording(shared, tmp_path):
    file = shared / "trajectories" / "agentinstruct_alfworld_336.json.xz"
    if not file.is_file():
        pytest.skip(f"no real data: expected {file}")
    from exprag.graph import build_agent
    from exprag.models import load_model

    bank = Bank.create(tmp_path / "bank")
    assert bank.import_file(file, environment="alfworld-generated", rewrite=[RULE], trust=True).added == 336
    assert bank.count(Filter(environment="alfworld-generated")) == 336
    agent = build_agent("alfworld-generated", load_model("case-based"), bank=bank, max_steps=30)
    steps = []
    for number in range(3):
        state = agent.invoke({"task": f"test/look_at_obj_in_light/000{number}", "seed": 1})
        steps += state["trajectory"]["steps"]
    assert {item["id"] for step in steps for item in step["recalled"]}
    assert not any(" in/on " in step["action"] for step in steps)
