"""The pipeline: base runs, hints, teacher, rows, students, comparison. Each stage reads what the one before has written.

    OUT/distill.json       what was chosen; another choice needs another folder
    OUT/tasks.json         the tasks of stages A and C, and those held out for the comparison
    OUT/base/              stage A: a run directory;  OUT/selection.json: what each episode counts as
    OUT/expert/            the expert on the failed tasks, for a distiller that needs it
    OUT/distilled.jsonl    stage B: each call of the distiller;  OUT/bank/: the bank with the hints
    OUT/teacher/           stage C: a run directory;  OUT/teacher.json: what each of its episodes counts as
    OUT/rows/              stage D: distill.jsonl, and control.jsonl of stage A's successes
    OUT/students/          the trained adapters, where they are asked for
    OUT/held-out/          a run directory for each arm
    OUT/report.json, .html, tokens.png

The same call continues after a kill: run directories and distilled.jsonl go on where they were, the rest is written whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from exprag.bank import Bank
from exprag.bank.files import copy_bank
from exprag.bank.items import Items
from exprag.contracts.distiller import Distiller
from exprag.distillation.config import DistillConfig
from exprag.distillation.playing import Bars, expert_run, keep_settings, own_tasks, play_run
from exprag.distillation.selection import FAILURE, SUCCESS, Verdict, count, judge, select
from exprag.distillation.student import leaks
from exprag.distillation.writing import write_items
from exprag.errors import ConfigError, RunError
from exprag.files import write_json
from exprag.plugins import create
from exprag.runs import RunConfig, RunDirectory, choose_tasks
from exprag.runs.lock import locked
from exprag.runs.player import make_environment
from exprag.trajectory import Task, Trajectory

STAGES = ("base", "hints", "teacher", "rows", "train", "held-out", "report")
"""The stages in their order: A, B, C, D, then training, comparison and report."""
LETTERS = {"A": "base", "B": "hints", "C": "teacher", "D": "rows"}


class Distillation:
    """One distillation in a folder. `say` is told what each stage came to; `bars` shows the progress of its runs."""

    def __init__(
        self, config: DistillConfig, out: str | Path, say: Callable[[str], None] = print, bars: Bars | None = None
    ) -> None:
        self.config = config
        self.out = Path(out).expanduser()
        self.say = say
        self.bars = bars
        self.bank_path = self.out / "bank"

    def play(self, stages: tuple[str, ...] = STAGES) -> None:
        """Run these stages, in the pipeline's order. Raises ConfigError for an unknown one, and where a stage lacks what an
        earlier one has to write; RunError where the folder is of another distillation or another process works in it."""
        names = [LETTERS.get(stage.upper(), stage) for stage in stages]
        if unknown := [name for name in names if name not in STAGES]:
            raise ConfigError(f"There is no stage {unknown[0]!r}.", cure=f"Stages: {', '.join(STAGES)}, or A to D.")
        with locked(self.out):
            self._prepare()
            for name in STAGES:
                if name in names:
                    getattr(self, f"_{name.replace('-', '_')}")()

    # -- what was chosen

    def _prepare(self) -> None:
        free = ("ablation", "held_out", "train", "base_model", "recipe", "recipe_options", "student_options")
        keep_settings(self.out / "distill.json", self.config, "distillation", free)
        extract, held_out = self._choose()
        write_json(self.out / "tasks.json", {"extract": extract, "held_out": held_out})

    def _choose(self) -> tuple[list[str], list[str]]:
        """The ids of the tasks to draw hints from, and of those held out, which are of other groups."""
        config = self.config
        tasks: list[Task] = choose_tasks(make_environment(config.run), config.run)
        extract, rest = tasks[: config.extract], tasks[config.extract :]
        groups = {task.group for task in extract if task.group}
        held_out = [task for task in rest if not task.group or task.group not in groups][: config.held_out]
        if config.held_out and not held_out:
            self.say(f"no task is left to compare on: all {len(tasks)} are drawn from, or of a group that is")
        return [task.id for task in extract], [task.id for task in held_out]

    @property
    def tasks(self) -> dict[str, list[str]]:
        """The ids of the tasks: `extract` and `held_out`."""
        ids: dict[str, list[str]] = json.loads((self.out / "tasks.json").read_text(encoding="utf-8"))
        return ids

    # -- stage A

    def _base(self) -> None:
        self._run("base", self._arm(0))
        verdicts = select(self.episodes("base"), self.config)
        write_json(self.out / "selection.json", {id: asdict(verdict) for id, verdict in verdicts.items()})
        self.say(f"base: {_listed(count(verdicts))}")

    # -- stage B

    def _hints(self) -> None:
        distiller: Distiller = create("distiller", self.config.distiller, **self.config.distiller_options)
        base, verdicts = self.episodes("base"), self._verdicts("selection.json")
        outcomes = {"failures": (FAILURE,), "successes": (SUCCESS,), "all": (FAILURE, SUCCESS)}[distiller.reads]
        episodes = [episode for episode in base if verdicts[episode.id].outcome in outcomes]
        if self.config.expert_successes and SUCCESS in outcomes:
            won = {episode.task.key for episode in episodes if episode.success}
            tasks = [episode.task.id for episode in base if episode.task.key not in won]
            episodes += [episode for episode in self._expert(tasks) if episode.success]
        if not episodes:
            self.say(f"hints: stage A has no {distiller.reads} to write from; the teacher will have no hints")
        others = [episode for episode in base if verdicts[episode.id].outcome == SUCCESS]
        if distiller.needs_expert and episodes:
            others += self._expert(list(dict.fromkeys(episode.task.id for episode in episodes)))
        path = self.out / "distilled.jsonl"
        calls = write_items(distiller, episodes, others, path)
        items = Items(self._bank())
        items.add(calls.items)
        flagged = sum(bool(item.flags) for item in items)
        self.say(
            f"hints: {len(items)} of {len(calls.items)} written from {len(episodes)} episodes, {flagged} flagged, "
            f"{len(calls.refusals)} refusals, {calls.tokens} tokens"
        )

    def _expert(self, task_ids: list[str]) -> list[Trajectory]:
        self._run("expert", expert_run(self.config.run, self.config.expert, task_ids))
        return self.episodes("expert")

    def _bank(self) -> Bank:
        """The distillation's own bank, made at first use: empty, or a copy of the run's."""
        source, target = self.config.run.bank, self.bank_path
        if not Bank.exists(target):
            if source is None:
                return Bank.create(target)
            if not Path(source).is_dir():
                raise ConfigError(f"The bank {source} is not a folder here, and hints go into a copy.", cure="Copy it first.")
            copy_bank(source, target, self.config.run.bank_version)
        return Bank.open(target)

    # -- stage C

    def _teacher(self) -> None:
        self._need("distilled.jsonl", "hints")
        items = [item for item in Items(self._bank()) if item.usable]
        types = {episode.task.type for episode in self.episodes("base")}
        if bare := sorted(types - {item.type for item in items}) if not any(item.type == "" for item in items) else []:
            self.say(f"teacher: no hints for {', '.join(bare[:8])}{' …' if len(bare) > 8 else ''}; there it acts without")
        self._run("teacher", self._arm(self.config.k))
        verdicts = {episode.id: judge(episode, self.config) for episode in self.episodes("teacher")}
        write_json(self.out / "teacher.json", {id: asdict(verdict) for id, verdict in verdicts.items()})
        self.say(f"teacher: {_listed(count(verdicts))}")

    # -- stage D

    def _rows(self) -> None:
        hints = [item.text for item in Items(self._bank())] if Bank.exists(self.bank_path) else []
        sources = (("distill", "teacher", "teacher.json"), ("control", "base", "selection.json"))
        for name, folder, selection in sources:
            verdicts = self._verdicts(selection)
            episodes = [e for e in self.episodes(folder) if verdicts[e.id].outcome == SUCCESS]
            if not episodes:
                self.say(f"rows: none for {name}: {folder} has no episode to learn from")
                continue
            self._write_rows(name, episodes, hints)

    def _write_rows(self, name: str, episodes: list[Trajectory], hints: list[str]) -> None:
        from exprag.training import DataConfig, build_rows, describe_dataset, read_rows, write_dataset

        path = self.out / "rows" / f"{name}.jsonl"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            run_config, agent = self.config.run, self.config.student()
            bank = self._bank() if self.config.student_memory and run_config.bank else None
            # an episode that the threshold counts as a success is one to learn from, whatever the environment calls it
            successes = [episode.model_copy(update={"success": True}) for episode in episodes]
            options = run_config.environment_options
            data = DataConfig.make(agent=agent, bank=bank.uri if bank else None, environment_options=options)
            write_dataset(path, build_rows(successes, bank, data))
        if problems := leaks(read_rows(path), hints):
            raise RunError(f"{path}: {len(problems)} rows hold what a student must not read, the first {problems[0]}.")
        report = describe_dataset(path).report
        self.say(f"rows: {path}: {report.get('rows')} rows of {len(episodes)} episodes, without hints and worked examples")

    # -- students

    def _train(self) -> None:
        if not self.config.train:
            return
        from exprag.training import train

        for name in ("distill", "control"):
            rows = self.out / "rows" / f"{name}.jsonl"
            if not rows.exists():
                self.say(f"train: no rows for {name}, so no student")
                continue
            model, recipe = self.config.trained_model, self.config.recipe
            result = train(rows, model, self.out / "students" / name, recipe, **self.config.recipe_options)
            write_json(self.out / "students" / f"{name}.json", {"adapter": str(result.adapter), "losses": result.losses})
            self.say(f"train: {result.adapter}")

    # -- comparison

    def _held_out(self) -> None:
        ids = self.tasks["held_out"]
        if not ids:
            self.say("held-out: no tasks to compare on")
            return
        arms = {"base": self._arm(0)}
        for k in dict.fromkeys((self.config.k, *self.config.ablation)):
            arms[f"hints-{k}"] = self._arm(k)
        for name, arm in (("control", "sft"), ("distill", "distilled")):
            if (note := self.out / "students" / f"{name}.json").exists():
                adapter = json.loads(note.read_text(encoding="utf-8"))["adapter"]
                memory = {} if self.config.student_memory else {"bank": None}
                spec = self.config.student_spec(adapter)
                arms[arm] = self._arm(0).changed(model=spec, agent=self.config.student(), **memory)
        for name, config in arms.items():
            self._run(f"held-out/{name}", config.changed(name=name, **own_tasks(ids)))

    def play_arm(self, name: str, hints: int, out: Path | None = None) -> None:
        """Play one arm on the held-out tasks, in OUT/held-out/NAME of this distillation or of another folder."""
        ids = self.tasks["held_out"]
        if not ids:
            raise ConfigError("No task is left to compare on.", cure="Take fewer tasks to write from, or a larger split.")
        config = self._arm(hints).changed(name=name, **own_tasks(ids))
        play_run(config, out or self.out, f"held-out/{name}", self.say, self.bars)

    def _report(self) -> None:
        from exprag.distillation.outcome import write_report

        for line in write_report(self.out):
            self.say(line)

    # -- within

    def episodes(self, folder: str) -> list[Trajectory]:
        """The episodes of one of the runs, in the order of its tasks. Raises ConfigError where it was not played."""
        if not (self.out / folder / "config.json").exists():
            raise ConfigError(f"{self.out / folder} was not played.", cure=f"Run the stage {folder} first.")
        directory = RunDirectory(self.out / folder)
        place = {id: number for number, id in enumerate(directory.config(allow_code=True).task_ids)}
        return sorted(directory.episodes(), key=lambda episode: place.get(episode.task.id, len(place)))

    def _arm(self, hints: int) -> RunConfig:
        """The base agent on the tasks of stages A and C, with this many hints."""
        source = self.config.run
        bank = {"bank": str(self.bank_path), "bank_version": None} if hints else {}
        values = {**source.model_dump(), **own_tasks(self.tasks["extract"]), **bank}
        return RunConfig.make(**{**values, "agent": self.config.agent(hints), "name": "teacher" if hints else "base"})

    def _run(self, folder: str, config: RunConfig) -> None:
        play_run(config, self.out, folder, self.say, self.bars)

    def _verdicts(self, name: str) -> dict[str, Verdict]:
        self._need(name, "base" if name == "selection.json" else "teacher")
        data = json.loads((self.out / name).read_text(encoding="utf-8"))
        return {id: Verdict(**verdict) for id, verdict in data.items()}

    def _need(self, name: str, stage: str) -> None:
        if not (self.out / name).exists():
            raise ConfigError(f"{self.out / name} is missing.", cure=f"Run the stage {stage} first.")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items())) or "no episodes"
