"""The prompt exactly as it is sent, one readable file for each style, formatter and placement: tests/prompts/*.md.

A change of wording is seen in review. To accept one: EXPRAG_UPDATE_PROMPTS=1 python -m pytest tests/prompt/test_snapshots.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exprag.config import AgentConfig
from exprag.contracts import Candidate
from exprag.environments.expert import play_expert
from exprag.memory import MemoryState
from exprag.plugins import registry
from exprag.prompt import PLACEMENTS
from exprag.prompt.block import build_block
from toy import Toy

FOLDER = Path(__file__).resolve().parents[1] / "prompts"
STYLES = sorted(c.name for c in registry().components if c.kind == "style" and c.distribution == "exprag")
FORMATTERS = sorted(c.name for c in registry().components if c.kind == "formatter" and c.distribution == "exprag")
HINTS = ("Look into closed places before you say that an object is not there.",)


def prompt_as_sent(style: str, formatter: str, placement: str) -> str:
    """The messages of the second turn of an episode that recalled one success and one failure, as Markdown."""
    toy = Toy()
    episode = play_expert(toy, toy.task("train/2"), seed=1)
    success = play_expert(toy, toy.task("train/1"), seed=1)
    failure = success.model_copy(update={"id": "failure", "success": False, "steps": success.steps[:1]})
    config = AgentConfig(style=style, formatter=formatter, placement=placement)
    candidates = [Candidate(success, 0.9, "same task type"), Candidate(failure, 0.5, "same task type")]
    block = build_block(candidates, config.make_formatter(), config.memory_options())
    prompt = config.make_prompt(toy)
    memory = MemoryState.from_text(block.text, step=1)
    messages = prompt.messages(episode.task, episode.steps[:1], episode.steps[1].observation, memory, HINTS)
    return "\n".join(f"## {message.type}\n\n```text\n{message.text}\n```\n" for message in messages)


def file_of(style: str, formatter: str, placement: str) -> Path:
    return FOLDER / f"{style}-{formatter}-{placement}.md"


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("style", STYLES)
def test_the_prompt_is_as_it_was(style: str, formatter: str, placement: str) -> None:
    text, file = prompt_as_sent(style, formatter, placement), file_of(style, formatter, placement)
    if os.environ.get("EXPRAG_UPDATE_PROMPTS", "") not in ("", "0"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text, "the wording of the prompt changed: read the module's docstring"


def test_no_snapshot_is_left_over() -> None:
    expected = {file_of(style, formatter, placement) for style in STYLES for formatter in FORMATTERS for placement in PLACEMENTS}
    assert set(FOLDER.glob("*.md")) == expected
