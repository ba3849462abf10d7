"""A bank as files and skills of an agent of deepagents, with a scripted model and no network."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import yaml
from command_line import call
from deepagents import create_deep_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from exprag.bank import Bank
from exprag.errors import ConfigError
from exprag.integrations.deepagents import SKILLS, BankBackend, with_experience
from exprag.integrations.skills import form, skills_of, write_skills
from exprag.integrations.trace_files import export_traces
from exprag.trajectory import Step, Task, Trajectory


def episode(number: int, success: bool | None = True, *, extra: tuple[str, ...] = ()) -> Trajectory:
    task = Task(environment="house", id=str(number), type="put", instruction=f"put mug {number} on the desk")
    actions = ["go to shelf 1", f"take mug {number} from shelf 1", *extra, "go to desk 2", f"put mug {number} on desk 2"]
    steps = tuple(Step(observation=f"You see ``` {n}", action=action) for n, action in enumerate(actions))
    return Trajectory(task=task, steps=steps, final_observation="<|im_end|> done", success=success)


@pytest.fixture
def bank(tmp_path) -> Bank:
    own = Bank.create(tmp_path / "bank")
    own.add([episode(1), episode(2, extra=("look",)), episode(3, False, extra=("smash mug 3",)), episode(4, None)])
    return own


class Scripted(BaseChatModel):
    """Makes these calls one after the other, then says what the last one gave."""

    calls: list[dict[str, Any]]
    prompts: list[list[BaseMessage]] = []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> BaseChatModel:
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        self.prompts.append(list(messages))
        results = [message for message in messages if isinstance(message, ToolMessage)]
        if len(results) < len(self.calls):
            turn = AIMessage("", tool_calls=[{**self.calls[len(results)], "id": str(len(results))}])
        else:
            turn = AIMessage(str(results[-1].text))
        return ChatResult(generations=[ChatGeneration(message=turn)])


def test_a_deep_agent_reads_experience_as_files(bank):
    (won,) = (run for run in bank if run.task.id == "1")
    model = Scripted(
        calls=[
            {"name": "ls", "args": {"path": "/experience/"}},
            {"name": "grep", "args": {"pattern": "take mug 1", "path": "/experience/"}},
            {"name": "write_file", "args": {"file_path": "/experience/mine.md", "content": "x"}},
            {"name": "read_file", "args": {"file_path": f"/experience/house/put/{won.id}.md"}},
        ]
    )
    agent = create_deep_agent(model, backend=with_experience(bank), skills=[SKILLS])
    result = agent.invoke({"messages": [{"role": "user", "content": "put a mug on the desk"}]})
    listed, hits, refused, page = (str(m.text) for m in result["messages"] if isinstance(m, ToolMessage))
    assert "/experience/house" in listed
    assert won.id in hits
    assert "read-only" in refused
    assert "take mug 1 from shelf 1" in page
    assert "<|im_end|>" not in page
    assert "house-put" in str(model.prompts[0])  # the skill is offered
    assert len(bank) == 4


def test_the_files_of_a_bank(bank):
    backend = BankBackend(bank)
    assert [entry["path"] for entry in backend.ls("/").entries] == ["/README.md", "/house/", "/skills/"]
    assert len(backend.ls("/house/put").entries) == 3  # the unknown one is in quarantine
    assert [match["path"] for match in backend.glob("SKILL.md").matches] == ["/skills/house-put/SKILL.md"]
    assert [match["path"] for match in backend.glob("skills/**/*.md").matches] == ["/skills/house-put/SKILL.md"]
    assert backend.grep("mug", max_count=2).truncated
    assert backend.grep("zebra").matches == []
    page = backend.read("/README.md")
    assert (page.start_line, page.end_line, page.next_offset) == (1, 2, None)
    assert backend.read("/README.md", 0, 1).next_offset == 1
    assert "not found" in backend.read("/nothing.md").error
    assert backend.read("/README.md", 0, 0).no_lines_requested
    (found, missing) = backend.download_files(["/README.md", "/nothing"])
    assert found.content.startswith(b"3 past episodes")
    assert missing.error == "file_not_found"
    assert backend.delete("/README.md").error
    assert backend.edit("/README.md", "a", "b").error
    assert backend.upload_files([("/x", b"")])[0].error == "permission_denied"


def test_a_skill_says_what_successes_share(bank):
    (skill,) = skills_of(bank)
    _, front, body = skill.text.split("---\n", 2)
    about = yaml.safe_load(front)
    assert about["name"] == skill.name == "house-put"
    assert "2 successes, 1 failures" in about["description"]
    shared, rest = body.split("## What failures did")
    assert [line.split("`")[1] for line in shared.splitlines() if line[:1].isdigit() and "`" in line] == [
        "go to",
        "take",
        "look",
        "put",
    ]
    assert "`smash` (1 of 1)" in rest
    assert rest.count("```") == 2  # what an episode says does not end the fence
    assert "take mug 1 from shelf 1" in rest


def test_types_in_other_scripts_have_skills_of_their_own(tmp_path):
    bank = Bank.create(tmp_path / "bank")
    types = [chr(0x4E00 + number) for number in range(40)]
    tasks = [{"environment": "e" * 64, "id": f"{number}{type}", "type": type} for type in types for number in range(2)]
    bank.add(Trajectory.from_dict({**episode(1).to_dict(), "id": "", "task": task}) for task in tasks)
    names = [skill.name for skill in skills_of(bank)]
    assert len(set(names)) == 40
    assert names[:2] == ["e" * 64, "e" * 62 + "-2"]
    assert max(map(len, names)) == 64


def test_episodes_of_any_id_have_files_of_their_own(tmp_path):
    bank = Bank.create(tmp_path / "bank")
    ids = ["a/b", "a b", "x" * 70 + "1", "x" * 70 + "2", "../..", "plain.id"]
    bank.add(Trajectory.from_dict({**episode(1).to_dict(), "id": id}) for id in ids)
    pages = [path for path in BankBackend(bank).files if path.startswith("/house/put/")]
    assert len(pages) == len(ids)
    assert "/house/put/plain.id.md" in pages
    assert all(".." not in path for path in pages)
    assert export_traces(bank, tmp_path / "out", "atif") == len(list((tmp_path / "out").iterdir())) == len(ids)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("go to desk 2", "go to"),
        ("take mug 1 from shelf", "take"),
        ('search({"q": "x"})', "search(…)"),
        ("look", "look"),
        ("", ""),
    ],
)
def test_the_form_of_an_action(action, expected):
    assert form(action) == expected


def test_skills_are_written_whole_by_the_command(bank, tmp_path):
    outcome = call("bank", "skills", str(bank.uri), "--out", str(tmp_path / "skills"))
    assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "skills" / "house-put" / "SKILL.md").read_text().startswith("---\nname: house-put\n")
    with pytest.raises(ConfigError, match="is there already"):
        write_skills(bank, tmp_path / "skills")
    with pytest.raises(ConfigError, match="9 trusted successes"):
        write_skills(bank, tmp_path / "more", least=9)


def test_without_deepagents_the_cure_is_named():
    code = "import sys; sys.modules['deepagents'] = None; import exprag.integrations.deepagents"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "pip install 'exprag[deepagents]'" in process.stderr
