"""The stages from nothing to played arms, each made by the product's own calls, skipped where it is done and resumed where not.

    OUT/base/                        the base model, where none is named
    OUT/experience/, OUT/bank/       the expert's episodes of all train games, and the bank of them
    OUT/lessons.jsonl                what is learnt from
    OUT/adapters/NAME-SEED/          rows/, training/, and adapter, a link to the finished one
    OUT/games/                       the matrix of all arms: one run directory for each arm, index state, half and seed
    OUT/bank-GAMES/                  the bank of a plan that names another
    OUT/stages.json                  seconds of each stage, over all its attempts
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lessons import held_out, lessons
from plan import Plan

from exprag.bank import Bank
from exprag.evaluation.groups import groups_of
from exprag.files import read_jsonl, write_json, write_jsonl
from exprag.models.small import fetch_small
from exprag.runs import RunConfig, RunDirectory, run
from exprag.runs.matrix import Cell, Matrix, MatrixConfig
from exprag.runs.matrix_play import MatrixProgress, play_matrix
from exprag.training import DataConfig, build_rows, train, write_dataset

Say = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """One folder, in which a plan is carried out. `base`: a model folder in place of the small one."""

    out: Path
    plan: Plan
    base: Path | None = None
    say: Say = print

    def play(self, arms: list[str], split: str = "", in_held_out: bool = False) -> Path:
        """Everything that these arms need, then their games; the folder of the matrix."""
        self._stage("experience", self.out / "bank.json", self._experience)
        self._stage("lessons", self.out / "lessons.jsonl", self._lessons)
        if self.plan.bank:
            self._stage(f"bank of {self.bank.name}", self.bank.with_suffix(".json"), self._other_bank)
        part = "-held-out" if in_held_out else f"-{split}" if split else ""
        games = self.out / f"{self.plan.games}{part}"
        matrix = self.matrix(arms, split, in_held_out)
        for adapter, seed, cells in self._by_adapter(matrix):
            own = matrix.with_cells(cells)
            if adapter:
                make = partial(self._adapter, adapter, seed)
                self._stage(f"training of {adapter}, seed {seed}", self.adapter(adapter, seed), make)
            name = f"games of {adapter or 'the base'}, seed {seed}"
            self._stage(name, None, partial(play_matrix, own, games, part=True, progress=self._played))
        return games

    def matrix(self, arms: list[str], split: str = "", in_held_out: bool = False) -> Matrix:
        """The cells of these arms; those of the base with the first seed alone, since greedy answers are the same with all."""
        about = json.loads(self.bank.with_suffix(".json").read_text(encoding="utf-8"))
        shared = {**self._environment, **self.plan.run, **({"split": split} if split else {})}
        tasks = self.plan.tasks
        if in_held_out:
            shared, tasks = shared | {"split": "train"}, self._held_out_tasks()
        cells: list[Cell] = []
        for number, seed in enumerate(self.plan.seeds):
            chosen = {}
            for arm in arms:
                values = dict(self.plan.arms[arm])
                adapter = values.pop("adapter", "")
                if number and not adapter:
                    continue
                folder = self.adapter(adapter, seed) if adapter else self.model
                values["model"] = f"hf:{folder}{self.plan.model}"
                if values.get("k"):
                    values = {**self.plan.agent, "bank": str(self.bank), "bank_version": about["version"], **values}
                chosen[arm] = values
            if chosen:
                config = MatrixConfig.make(name="learning", seeds=(seed,), run=shared, environments=tasks, arms=chosen)
                cells += Matrix.of(config).cells
        baseline = "lora" if "lora" in arms else "no-memory" if "no-memory" in arms else None
        return Matrix(tuple(cells), "learning", baseline)

    @property
    def _environment(self) -> dict[str, Any]:
        """That of the plan, as fields of a run."""
        return {"environment": self.plan.environment, "environment_options": self.plan.environment_options}

    @property
    def model(self) -> Path:
        return self.base or self.out / "base"

    @property
    def bank(self) -> Path:
        """What the arms find."""
        return self.out / (f"bank-{self.plan.games}" if self.plan.bank else "bank")

    def adapter(self, name: str, seed: int) -> Path:
        return self.out / "adapters" / f"{name}-{seed}" / "adapter"

    def times(self) -> dict[str, float]:
        path = self.out / "stages.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def _stage(self, name: str, result: Path | None, make: Callable[[], object]) -> None:
        """Make a result unless it is there, and note the seconds."""
        if result is not None and result.exists():
            return
        self.say(f"{time.strftime('%H:%M:%S')} {name}")
        started = time.monotonic()
        try:
            make()
        finally:
            times = self.times()
            write_json(self.out / "stages.json", times | {name: round(times.get(name, 0) + time.monotonic() - started, 1)})

    def _by_adapter(self, matrix: Matrix) -> Iterator[tuple[str, int, list[Cell]]]:
        """The cells by the adapter that plays them, adapters in the plan's order, seed by seed."""
        for seed in self.plan.seeds:
            for adapter in ("", *self.plan.adapters):
                cells = [c for c in matrix.cells if c.seed == seed and self.plan.arms[c.arm].get("adapter", "") == adapter]
                if cells:
                    yield adapter, seed, cells

    def _experience(self) -> None:
        if self.base is None:
            fetch_small(self.out / "base")
        self._fill_bank(self.out / "bank", self.out / "experience", self.plan.experience)

    def _other_bank(self) -> None:
        self._fill_bank(self.bank, self.out / f"experience-{self.plan.games}", {**self.plan.experience, **self.plan.bank})

    def _fill_bank(self, place: Path, played: Path, values: dict[str, Any]) -> None:
        """Have the expert play train games of all types that arms play, and put its episodes into a bank."""
        types = sorted({type_ for chosen in self.plan.tasks.values() for type_ in chosen["types"]})
        config = RunConfig.make(**{**self._environment, "types": types, "split": "train", "policy": "expert", **values})
        run(config, played, progress=self._expert_played)
        bank = Bank.open_or_create(place)
        bank.add(RunDirectory(played).episodes())
        write_json(place.with_suffix(".json"), {"version": bank.version, "rows": len(bank)})

    def _lessons(self) -> None:
        easy = (e for e in RunDirectory(self.out / "experience").episodes() if "easy" in groups_of(e.task))
        about = self.plan.lessons.model_dump()
        write_jsonl(self.out / "lessons.jsonl", lessons(easy, **self._environment, **about))

    def _adapter(self, name: str, seed: int) -> None:
        folder, bank, version = self.adapter(name, seed).parent, self.out / "bank", None
        rows = folder / "rows"
        if not (rows / "dataset_info.json").exists():
            from transformers import AutoTokenizer

            values = {**self.plan.agent, "mask_invalid": True, "seed": seed, **self.plan.adapters[name]}
            values["environment_options"] = self.plan.environment_options
            taught = list(read_jsonl(self.out / "lessons.jsonl"))
            if values.get("k") or values.get("k_choices"):
                version = json.loads((self.out / "bank.json").read_text(encoding="utf-8"))["version"]
                types = sorted({episode.task.type for episode in taught})
                values |= {"bank": str(bank), "bank_version": version, "index_types": types}
            opened = Bank.open(bank, version) if version is not None else None
            made = build_rows(taught, opened, DataConfig.make(**values), tokenizer=AutoTokenizer.from_pretrained(self.model))
            self.say(f"  {write_dataset(rows, made).report}")
        result = train(rows, str(self.model), folder / "training", progress=self._trained, seed=seed, **self.plan.recipe)
        link = folder / "adapter"
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(result.adapter, folder), target_is_directory=True)

    def _held_out_tasks(self) -> dict[str, dict[str, Any]]:
        """Train games of the held-out rooms, some of each type, under the names of the plan's tasks."""
        tasks = [e.task for e in RunDirectory(self.out / "experience").episodes() if held_out(e.task)]
        chosen: dict[str, dict[str, Any]] = {}
        for name, values in self.plan.tasks.items():
            types, ids = set(values["types"]), []
            for type_ in sorted({task.type for task in tasks if types & {task.type, *groups_of(task)}}):
                ids += sorted(task.id for task in tasks if task.type == type_)[: self.plan.held_out]
            chosen[name] = {"task_ids": ids}
        return chosen

    def _expert_played(self, number: int, total: int, _: object) -> None:
        if number % 500 == 0:
            self.say(f"  {number} of {total} games by the expert")

    def _trained(self, step: int, total: int, losses: dict[str, float]) -> None:
        if step % 10 == 0:
            self.say(f"  {time.strftime('%H:%M:%S')} step {step} of {total}, loss {losses.get('loss', float('nan')):.3f}")

    def _played(self, progress: MatrixProgress) -> None:
        if progress.played % 20 == 0 and progress.trajectory is not None:
            count = f"{progress.episodes} of {progress.total}, {progress.won} won now"
            self.say(f"  {time.strftime('%H:%M:%S')} {progress.part}: {count}")
