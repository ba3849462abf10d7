"""What the placement of the memory block costs a server with a prefix cache.

    ALFWORLD_DATA=… python benchmarks/placement.py [--json] [--quick | --smoke] [--tokenizer FOLDER]

Expert episodes of ALFWorld's valid_unseen games are walked through step by step. At each step the prompt is written by the code
that the graph runs, with a bank of train episodes, and compared with the prompt of the step before: what lies behind the longest
common prefix must be prefilled again. The figures, for static and dynamic retrieval by placement, are tokens (the model's own
turn counts as cached, as it was just generated):

    per_later_step    prefilled at each step after the first
    per_episode       prefilled in an episode
    without_cache     of all prompts of an episode
    to_system         per_episode ÷ that of the paper's placement (system)

Tokens are those of `--tokenizer` (a Hugging Face folder), else four characters each; the common prefix is taken on the text.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _output import Figures, make_parser, sized, start
from langchain_core.messages import BaseMessage

from exprag.bank import Bank
from exprag.config import AgentConfig
from exprag.contracts.query_strategy import Moment
from exprag.environments.expert import play_expert
from exprag.plugins import create
from exprag.prompt import PLACEMENTS
from exprag.prompt.block import approximate_tokens
from exprag.prompt.recall import recall
from exprag.trajectory import Task, Trajectory

ARMS: dict[str, dict[str, Any]] = {
    "static": {"strategy": "task"},
    "dynamic": {"strategy": "trajectory"},
    "dynamic, carry over 1": {"strategy": "trajectory", "carry_over": 1},
}


def counter(folder: str | None) -> Callable[[str], int]:
    if folder is None:
        return approximate_tokens
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def text_of(messages: list[BaseMessage]) -> str:
    return "\n".join(f"<{message.type}>\n{message.text}" for message in messages)


def prefilled(episode: Trajectory, bank: Bank, config: AgentConfig, count: Callable[[str], int]) -> tuple[list[int], list[int]]:
    """Per step: tokens behind the prefix shared with the prompt before and its turn, and tokens of the whole prompt."""
    environment = create("environment", episode.task.environment)
    prompt, retriever, formatter = config.make_prompt(environment, bank), config.make_retriever(bank), config.make_formatter()
    memory, before = None, ""
    uncached, whole = [], []
    for number, step in enumerate(episode.steps):
        earlier = episode.steps[:number]
        if retriever.due(number, memory is not None):
            moment = Moment(episode.task, earlier, step.observation)
            memory = recall(retriever, formatter, moment, memory, config.memory_options()) or memory
        text = text_of(prompt.messages(episode.task, earlier, step.observation, memory))
        prefix = next((n for n, (a, b) in enumerate(zip(before, text, strict=False)) if a != b), min(len(before), len(text)))
        uncached.append(count(text[prefix:]))
        whole.append(count(text))
        before = f"{text}\n<ai>\n{step.action}"
    return uncached, whole


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--episodes", type=int, help="default: 30")
    parser.add_argument("--bank-episodes", type=int, help="default: 600")
    parser.add_argument("--k", type=int, default=2)
    parser.add_argument("--tokenizer", metavar="FOLDER")
    options = parser.parse_args()
    limit = options.episodes or sized(options, full=30, quick=5, smoke=1)
    bank_limit = options.bank_episodes or sized(options, full=600, quick=100, smoke=5)
    count = counter(options.tokenizer)
    environment = create("environment", "alfworld")
    train, test = list(environment.tasks("train")), list(environment.tasks("valid_unseen"))
    with tempfile.TemporaryDirectory() as folder, Figures("placement", options) as figures:
        bank = Bank.create(Path(folder) / "bank", strategies=("task", "trajectory"))
        bank.add(play_expert(environment, task) for task in spread(train, bank_limit))
        episodes = [play_expert(environment, task, max_steps=50) for task in spread(test, limit)]
        figures.extend({"episodes": len(episodes), "k": options.k})
        for name, arm in ARMS.items():
            base = 0.0
            for placement in PLACEMENTS:
                config = AgentConfig.make(k=options.k, placement=placement, **arm)
                pairs = [prefilled(episode, bank, config, count) for episode in episodes if episode.steps]
                total = sum(sum(uncached) for uncached, _ in pairs) / len(pairs)
                base = base or total
                values = {
                    # the first prompt of an episode is all new, whatever the placement
                    "per_later_step": round(statistics.mean(n for uncached, _ in pairs for n in uncached[1:]), 1),
                    "per_episode": round(total),
                    "without_cache": round(sum(sum(whole) for _, whole in pairs) / len(pairs)),
                    "to_system": round(total / base, 3),
                }
                figures.add(f"{name}, {placement}", values)


def spread(tasks: list[Task], count: int) -> list[Task]:
    """At most `count` of the tasks, evenly spread."""
    return tasks[:: max(1, len(tasks) // count)][:count]


if __name__ == "__main__":
    start(main)
