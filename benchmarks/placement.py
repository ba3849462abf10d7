"""What the placement of the memory block costs a server with a prefix cache.

    ALFWORLD_DATA=FOLDER python benchmarks/placement.py [--episodes 30] [--tokenizer FOLDER] [--json]

Expert episodes of ALFWorld's valid_unseen games are walked through step by step. At each step the prompt is written by the code
that the graph runs, with a bank of train episodes, and compared with the prompt of the step before: what lies behind the longest
common prefix must be prefilled again. A table gives the tokens prefilled anew per step (the model's own turn counts as cached,
as it was just generated), by placement, for static and dynamic retrieval, and the ratio to the paper's placement (system).

Tokens are those of `--tokenizer` (a Hugging Face folder), else four characters each; the common prefix is taken on the text.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from langchain_core.messages import BaseMessage

from exprag.bank import Bank
from exprag.config import AgentConfig
from exprag.contracts.query_strategy import Moment
from exprag.environments.expert import play_expert
from exprag.plugins import create
from exprag.prompt import PLACEMENTS
from exprag.prompt.block import approximate_tokens
from exprag.prompt.recall import recall
from exprag.trajectory import Trajectory

ARMS = {
    "static": {"strategy": "task"},
    "dynamic": {"strategy": "trajectory"},
    "dynamic, keep 1": {"strategy": "trajectory", "keep": 1},
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
    anew, whole = [], []
    for number, step in enumerate(episode.steps):
        done = episode.steps[:number]
        if retriever.due(number, memory is not None):
            moment = Moment(episode.task, done, step.observation)
            memory = recall(retriever, formatter, moment, memory, config.memory_options()) or memory
        told = text_of(prompt.messages(episode.task, done, step.observation, memory))
        shared = next((n for n, (a, b) in enumerate(zip(before, told, strict=False)) if a != b), min(len(before), len(told)))
        anew.append(count(told[shared:]))
        whole.append(count(told))
        before = f"{told}\n<ai>\n{step.action}"
    return anew, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--bank-episodes", type=int, default=600)
    parser.add_argument("--k", type=int, default=2)
    parser.add_argument("--tokenizer")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    count = counter(options.tokenizer)
    environment = create("environment", "alfworld")
    train, test = list(environment.tasks("train")), list(environment.tasks("valid_unseen"))
    every = max(1, len(train) // options.bank_episodes)
    asked = test[:: max(1, len(test) // options.episodes)][: options.episodes]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank.create(Path(folder) / "bank", strategies=("task", "trajectory"))
        bank.add(play_expert(environment, task) for task in train[::every])
        episodes = [play_expert(environment, task, max_steps=50) for task in asked]
        for name, choice in ARMS.items():
            base = 0.0
            for placement in PLACEMENTS:
                config = AgentConfig(k=options.k, placement=placement, **choice)
                measured = [prefilled(episode, bank, config, count) for episode in episodes if episode.steps]
                # the first prompt of an episode is all new, whatever the placement
                later = [n for anew, _ in measured for n in anew[1:]]
                total = sum(sum(anew) for anew, _ in measured) / len(measured)
                whole = sum(sum(tokens) for _, tokens in measured) / len(measured)
                base = base or total
                rows.append(
                    {
                        "retrieval": name,
                        "placement": placement,
                        "per_later_step": round(statistics.mean(later), 1),
                        "per_episode": round(total),
                        "without_cache": round(whole),
                        "to_system": round(total / base, 3),
                    }
                )
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{len(episodes)} episodes, k = {options.k}; tokens prefilled\n")
    print("| retrieval | placement | per later step | per episode | per episode without a cache | ÷ system |")
    print("|---|---|--:|--:|--:|--:|")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


if __name__ == "__main__":
    main()
