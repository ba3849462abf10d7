"""Streams: tasks arrive in an order, the memory grows as they come, and an agent without memory plays the same visits.

    OUT/stream.json       what was chosen; another choice needs another folder
    OUT/none/             the agent without memory: the run `first`, and `again` for revisits
    OUT/rounds/NNN        the agent with memory: a run for each round, which reads the bank at the version of its beginning
    OUT/memory/C/         the memory of chapter C: bank/, learned.jsonl (`exprag.runs.learning`), distilled.jsonl, expert/NNN
    OUT/report.json       the outcome (`exprag.evaluation.streams`), each visit with it;  OUT/stream.png: the learning curve

The same call continues after a kill: with the round that was played, from its own version of the bank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exprag.bank.items import Items
from exprag.contracts.distiller import Distiller
from exprag.distillation.arrivals import Arrival, StreamConfig, arrivals
from exprag.distillation.outcome import aligned
from exprag.distillation.playing import Bars, expert_run, keep_settings, own_tasks, play_run
from exprag.distillation.writing import write_items
from exprag.errors import RunError
from exprag.evaluation.stream_figure import draw
from exprag.evaluation.streams import StreamOutcome, Visit, judge
from exprag.figures import save_figure
from exprag.files import write_json
from exprag.plugins import create
from exprag.runs import RunConfig, RunDirectory, choose_tasks
from exprag.runs.learning import Learner
from exprag.runs.lock import locked
from exprag.runs.player import make_environment
from exprag.trajectory import Trajectory

REPLACED = "replaced by what was written later"


class Stream:
    """One stream in a folder. `say` is told the outcome; `bars` shows the progress of its runs."""

    def __init__(
        self, config: StreamConfig, out: str | Path, say: Callable[[str], None] = print, bars: Bars | None = None
    ) -> None:
        self.config = config
        self.out = Path(out).expanduser()
        self.say, self.bars = say, bars

    def play(self) -> StreamOutcome:
        """Play what is missing and write the report. Raises RunError where the folder is of another stream, another process works
        in it, or a run stopped before its end; ConfigError and PluginError as runs and distillers do."""
        config = self.config
        with locked(self.out):
            keep_settings(self.out / "stream.json", config, "stream")
            distiller = create("distiller", config.distiller, **config.distiller_options) if config.distiller else None
            visits = arrivals(choose_tasks(make_environment(config.run), config.run), config)
            self._warn(visits)
            without: dict[bool, dict[str, Trajectory]] = {}
            for again in dict.fromkeys(visit.again for visit in visits):
                ids = [visit.task.id for visit in visits if visit.again == again]
                episodes = self._run(f"none/{'again' if again else 'first'}", config.arm(False).changed(**own_tasks(ids)))
                without[again] = {episode.task.key: episode for episode in episodes}
            outcomes = []
            for chapter in dict.fromkeys(visit.chapter for visit in visits):
                for visit, episode in self._chapter([visit for visit in visits if visit.chapter == chapter], distiller):
                    alone = without[visit.again][visit.task.key]
                    solved = episode.success is True, alone.success is True
                    outcomes.append(Visit(visit.task.key, visit.task.type, visit.again, visit.round, chapter, *solved))
            outcome = judge(outcomes)
            write_json(self.out / "report.json", outcome.to_dict())
            for line in aligned(outcome.rows()):
                self.say(line)
            title = f"{config.run.environment}, {config.arrival}"
            save_figure(lambda: draw(outcome, title), self.out / "stream.png", "distill")
            self.say(f"{self.out / 'report.json'}, {self.out / 'stream.png'}")
        return outcome

    def _warn(self, visits: list[Arrival]) -> None:
        """Say where a memory is never read: it grows after the only round that would read it."""
        rounds = Counter(chapter for chapter, _ in {(visit.chapter, visit.round) for visit in visits})
        if short := sum(count == 1 for count in rounds.values()):
            cure = f"fewer visits a round than {self.config.run.learn_every} (learn_every) let it be"
            self.say(f"{short} of {len(rounds)} memories have a single round, so that nothing they learn is read; {cure}")

    def _chapter(self, visits: list[Arrival], distiller: Distiller | None) -> Iterator[tuple[Arrival, Trajectory]]:
        """Play the rounds of a chapter in turn; each ends with what it adds to the memory."""
        config = self.config
        folder = self.out / "memory" / str(visits[0].chapter)
        folder.mkdir(parents=True, exist_ok=True)
        learner = Learner(config.run, RunDirectory(folder))
        others: list[Trajectory] = []
        for number, name in enumerate(dict.fromkeys(visit.round for visit in visits)):
            part = [visit for visit in visits if visit.round == name]
            reading = learner.reading(number)
            source = {"bank": reading.bank, "bank_version": reading.bank_version}
            ids = [visit.task.id for visit in part]
            episodes = self._run(f"rounds/{name:03}", config.arm(True).changed(**source, **own_tasks(ids)))
            if distiller is not None:
                others += self._experts(distiller, episodes, f"memory/{visits[0].chapter}/expert/{name:03}")
                if not learner.has_learned(number):
                    chosen = [episode for episode in episodes if _is_read(episode, distiller)]
                    written = write_items(distiller, chosen, others, folder / "distilled.jsonl")
                    if distiller.edits:
                        Items(learner.bank).replace(written.replaced, written.items, REPLACED)
                    else:
                        Items(learner.bank).add(written.items)
                others += [episode for episode in episodes if episode.success]
            learner.learn(number, episodes)
            yield from zip(part, episodes, strict=True)

    def _experts(self, distiller: Distiller, episodes: list[Trajectory], folder: str) -> list[Trajectory]:
        """What the expert did on the failed tasks, for a distiller that needs it."""
        ids = [episode.task.id for episode in episodes if not episode.success]
        return self._run(folder, expert_run(self.config.run, self.config.expert, ids)) if ids and distiller.needs_expert else []

    def _run(self, folder: str, config: RunConfig) -> list[Trajectory]:
        """Play a run; returns its episodes in the order of its tasks."""
        summary = play_run(config, self.out, folder, self.say, self.bars)
        if summary.left:
            message = f"The run {folder} stopped with {summary.left} to play: {summary.stopped}."
            raise RunError(message, cure="Run the same command again.")
        by_id = {episode.task.id: episode for episode in RunDirectory(summary.path).episodes()}
        return [by_id[id] for id in config.task_ids]


def _is_read(episode: Trajectory, distiller: Distiller) -> bool:
    """Whether a distiller reads an episode. One that ended in an error, or whose outcome is not known, none does."""
    if episode.ended == "error" or not episode.steps or episode.success is None:
        return False
    return distiller.reads == "all" or episode.success == (distiller.reads == "successes")


def play_stream(config: StreamConfig, out: str | Path, **options: Any) -> StreamOutcome:
    """Play a stream, or go on with it; `options` are `say` and `bars` of `Stream`."""
    return Stream(config, out, **options).play()
