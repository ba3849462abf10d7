"""Runs to evaluate: small ones, and two arms made of real ALFWorld episodes where the shared data is present."""

from __future__ import annotations

import json
import lzma
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exprag.evaluation import RunResult
from exprag.files import write_jsonl
from exprag.trajectory import Provenance, Recalled, Step, Task, Trajectory, Usage

SAMPLE = Path(__file__).resolve().parents[2] / "../shared/data/trajectories/expert_handcoded_train_sample.jsonl.xz"
STEP_LIMIT = 18


def episode(task: str, success: bool | None, *, type: str = "fetch", steps: int = 2, seed: int = 0, **more: Any) -> Trajectory:
    """A made episode; `score` follows `success` if it is not given."""
    more.setdefault("score", None if success is None else float(success))
    return Trajectory(
        task=Task(environment="toy", id=task, type=type, instruction=f"do {task}"),
        steps=tuple(Step(observation=f"seen {n}", action=f"act {n}") for n in range(steps)),
        success=success,
        provenance=Provenance(seed=seed, run=more.pop("run", ""), seconds=more.pop("seconds", None)),
        **more,
    )


def arm(name: str, outcomes: Sequence[bool | None], *, bank: str | None = None, **config: Any) -> RunResult:
    """A run over tasks 0, 1, 2 … with these outcomes."""
    episodes = tuple(episode(f"{n:03}", outcome) for n, outcome in enumerate(outcomes))
    return RunResult(name, {"name": name, "environment": "toy", "bank": bank, **config}, {}, episodes)


def write_run(folder: Path, run: RunResult) -> Path:
    """The run as a run directory."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(run.config))
    (folder / "versions.json").write_text(json.dumps(run.versions))
    write_jsonl(folder / "episodes.jsonl", run.episodes)
    return folder


def read_sample() -> list[Trajectory]:
    """The real expert episodes as trajectories."""
    trajectories = []
    with lzma.open(SAMPLE, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            observations = [row["obs0"], *(observation for _, observation in row["steps"])]
            _, _, instruction = row["obs0"].partition("Your task is to: ")
            won = bool(row["won"])
            trajectories.append(
                Trajectory(
                    task=Task(
                        environment="alfworld",
                        id=row["id"],
                        split="train",
                        type=row["id"].split("/")[1].split("-")[0],
                        instruction=instruction.strip() or row["id"],
                    ),
                    steps=tuple(
                        Step(observation=observation, action=action, reward=float(won and n == len(row["steps"]) - 1))
                        for n, (observation, (action, _)) in enumerate(zip(observations, row["steps"], strict=False))
                    ),
                    final_observation=observations[-1],
                    success=won,
                    score=float(won),
                    ended="terminated" if won else "truncated",
                    source="expert",
                )
            )
    return trajectories


def real_arms() -> tuple[list[RunResult], dict[str, Trajectory]]:
    """Two arms over the same real games: episodes as they were, and the same cut at a step limit; and what was "recalled":
    at each step of the first, two other games of its type."""
    sample = read_sample()
    of_type: dict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in sample:
        of_type[trajectory.task.type].append(trajectory)
    rng = random.Random(0)
    whole, cut = [], []
    for trajectory in sample:
        others = [other for other in of_type[trajectory.task.type] if other.id != trajectory.id]
        recalled = tuple(
            Recalled(id=other.id, score=round(0.9 - 0.1 * rank, 3), reason="same task type")
            for rank, other in enumerate(rng.sample(others, 2))
        )
        provenance = Provenance(run="memory", seed=1, seconds=round(rng.uniform(3, 9), 1))
        steps = tuple(
            step.model_copy(update={"recalled": recalled, "usage": Usage(prompt=900 + 40 * n, completion=6)})
            for n, step in enumerate(trajectory.steps)
        )
        whole.append(trajectory.model_copy(update={"id": "m-" + trajectory.id, "steps": steps, "provenance": provenance}))
        short = len(trajectory.steps) <= STEP_LIMIT
        cut.append(
            trajectory.model_copy(
                update={
                    "id": "n-" + trajectory.id,
                    "steps": trajectory.steps[:STEP_LIMIT],
                    "final_observation": trajectory.final_observation if short else trajectory.steps[STEP_LIMIT].observation,
                    "success": trajectory.success and short,
                    "score": float(bool(trajectory.success and short)),
                    "ended": trajectory.ended if short else "truncated",
                    "provenance": provenance.model_copy(update={"run": "no-memory"}),
                }
            )
        )
    config = {"environment": "alfworld", "split": "train", "model": "recorded", "strategy": "task", "k": 2, "seed": 1}
    versions = {"python": "3.11.7", "packages": {"exprag": "0.1.0"}}
    runs = [
        RunResult("no-memory", {"name": "no-memory", **config, "bank": None}, versions, tuple(cut)),
        RunResult("memory", {"name": "memory", **config, "bank": "bank", "bank_version": 3}, versions, tuple(whole)),
    ]
    return runs, {trajectory.id: trajectory for trajectory in sample}
