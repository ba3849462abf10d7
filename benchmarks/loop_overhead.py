"""What the graph costs: an episode through the graph ÷ the same episode in a bare loop.

    python benchmarks/loop_overhead.py [--json] [--quick | --smoke] [--env scienceworld] [--set NAME=VALUE]

Both sides play the same tasks with the `case-based` model, K = 2, from one bank of 1,000 trajectories (the environment's own
expert episodes, stored again under other task ids until there are 1,000). The bare loop calls the environment, the search,
the prompt and the model directly. The two alternate task by task; the ratio is the median over tasks of graph ÷ bare.

    ratio                aim: below 1.15
    ms_per_step          by boundary: environment, retrieval, prompt and model (timed in the bare loop), and graph (what the
                         graph takes on top)
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from _output import Figures, make_parser, name_values, sized, start
from langchain_core.language_models import BaseChatModel

from exprag.bank import Bank, Filter
from exprag.bank.exclusion import Exclusion
from exprag.contracts.environment import TextEnvironment
from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate
from exprag.contracts.style import load_style
from exprag.environments.expert import play_expert
from exprag.environments.sessions import Sessions
from exprag.graph import build_agent
from exprag.memory import MemoryState
from exprag.models import load_model
from exprag.plugins import create
from exprag.prompt import Prompt
from exprag.prompt.block import build_block
from exprag.retrieval import Retriever
from exprag.trajectory import Step, Task, Trajectory


class Clock:
    """Seconds by boundary."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def at(self, boundary: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[boundary] += time.perf_counter() - started


def fill(bank: Bank, episodes: list[Trajectory], size: int) -> None:
    """Store real episodes again and again, each time as another task."""
    rows: list[Trajectory] = []
    for number in range(size):
        episode = episodes[number % len(episodes)]
        task = episode.task.model_copy(update={"id": f"{episode.task.id}#{number}", "group": ""})
        rows.append(episode.model_copy(update={"task": task, "id": f"{episode.id}-{number}"}))
    bank.add(rows)


def bare(environment: TextEnvironment, bank: Bank, model: BaseChatModel, task: Task, max_steps: int, clock: Clock) -> int:
    """The episode without the graph; returns its number of steps."""
    style, formatter = load_style("act"), create("formatter", "chat_json")
    prompt = Prompt(style, tuple(environment.action_templates))
    strategy, selector = create("query_strategy", "task"), create("selector", "top_k")
    steps: list[Step] = []
    with clock.at("environment"):
        observation, info = environment.reset(seed=0, options={"task": task})
    task = info["task"]
    with clock.at("retrieval"):
        moment = Moment(task, (), observation)
        hits = bank.search(
            strategy.query(moment),
            strategy="task",
            k=2,
            where=Filter(environment=task.environment),
            exclude=Exclusion.of(task),
        )
        candidates = selector.select([Candidate(hit.trajectory, hit.score) for hit in hits], 2, moment)
    with clock.at("prompt"):
        memory = MemoryState.from_text(build_block(candidates, formatter).text)
    while len(steps) < max_steps:
        with clock.at("prompt"):
            messages = prompt.messages(task, steps, observation, memory)
        with clock.at("model"):
            reply = model.invoke(messages)
        with clock.at("prompt"):
            action = style.parse(str(reply.text), environment.action_templates).action
        before = observation
        with clock.at("environment"):
            observation, reward, terminated, truncated, _ = environment.step(action)
        steps.append(Step(observation=before, action=action, reward=reward))
        if terminated or truncated:
            break
    return len(steps)


def pick(tasks: Iterable[Task], per_type: int, types: int) -> list[Task]:
    """The first tasks of each of the first types."""
    by_type: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        if len(by_type[task.type]) < per_type:
            by_type[task.type].append(task)
    return [task for group in list(by_type.values())[:types] for task in group]


def measure(
    env: str, options: dict[str, Any], test_split: str, types: int, per_type: int, max_steps: int, bank_size: int
) -> dict[str, Any]:
    make: Callable[[], TextEnvironment] = partial(create, "environment", env, **options)
    plain = make()
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank.create(f"{folder}/bank")
        fill(bank, [play_expert(plain, task, seed=0) for task in pick(plain.tasks("train"), per_type, types)], bank_size)
        tasks = pick(plain.tasks(test_split), per_type, types)
        model = load_model("case-based")
        sessions = Sessions(lambda: plain)  # one environment for both sides: a second JVM would be warm at another time
        agent = build_agent(sessions, model, retriever=Retriever(bank), max_steps=max_steps)

        def through_graph(task: Task) -> int:
            return len(agent.invoke({"task": task.to_dict(), "seed": 0})["trajectory"]["steps"])

        through_graph(tasks[0])  # warm both sides up
        bare(plain, bank, model, tasks[0], max_steps, Clock())
        clock, ratios, steps, totals = Clock(), [], 0, {"graph": 0.0, "bare": 0.0}
        for number, task in enumerate(tasks):
            seconds = {}
            for side in ("graph", "bare") if number % 2 else ("bare", "graph"):
                started = time.perf_counter()
                count = through_graph(task) if side == "graph" else bare(plain, bank, model, task, max_steps, clock)
                seconds[side] = time.perf_counter() - started
                totals[side] += seconds[side]
            steps += count
            ratios.append(seconds["graph"] / seconds["bare"])
        plain.close()
    shares = {boundary: 1000 * seconds / steps for boundary, seconds in clock.seconds.items()}
    shares["graph"] = 1000 * (totals["graph"] - totals["bare"]) / steps
    return {
        "environment": env,
        "episodes": len(tasks),
        "steps": steps,
        "bank": bank_size,
        "ratio": round(statistics.median(ratios), 3),
        "ms_per_step": {boundary: round(ms, 3) for boundary, ms in shares.items()},
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--env", default="scienceworld")
    parser.add_argument("--split", default="test")
    parser.add_argument("--set", action="append", metavar="NAME=VALUE", help="option of the environment; repeatable")
    options = parser.parse_args()
    types, per_type = sized(options, full=(8, 2), quick=(3, 1), smoke=(2, 1))
    max_steps, bank_size = sized(options, full=(40, 1000), quick=(20, 1000), smoke=(5, 20))
    with Figures("loop_overhead", options) as figures:
        result = measure(options.env, name_values(options.set), options.split, types, per_type, max_steps, bank_size)
        figures.extend(result, {"ratio": "below 1.15"})


if __name__ == "__main__":
    start(main)
