"""Rows from traces: a row is one multi-turn chat, the prompt that the graph would have sent, with the turns that it saw.

Memory comes from `exprag.prompt.recall` and messages from `Prompt.messages`, as they do in the graph; the episode itself is
never recalled. A row is a maximal run of turns whose prompts extend one another, so that one pass over it trains them all: with
static retrieval one row per episode, with dynamic retrieval one per memory block, and a new one wherever the working memory is
compressed or a block at the tail moves. Only the turns that the row's block saw are trained; earlier ones are context.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from exprag.contracts.environment import TextEnvironment
from exprag.environments.calls import fingerprint
from exprag.errors import ConfigError, ExpragError
from exprag.memory import MemoryState
from exprag.models.ranking import with_hint_model
from exprag.models.tokens import defuser
from exprag.plugins import create_registered
from exprag.prompt.block import approximate_tokens
from exprag.retrieval import Retriever
from exprag.training.rows.config import DataConfig
from exprag.training.rows.masks import masked_steps, trained_turns
from exprag.training.rows.mixing import EMPTY, MISMATCHED, NONE, Choice, Retrievers, choose
from exprag.training.rows.renaming import renamed_replay
from exprag.training.rows.report import Report
from exprag.training.rows.row import Row
from exprag.training.rows.spans import Replay, Span
from exprag.training.rows.stops import stop_note
from exprag.training.rows.tokens import ChatTokens, Tokens
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.bank import Bank

FAILED = "This run failed: its turns are those of an agent that does not reach the goal."
Progress = Callable[[int, int | None], None]
"""Called with (episodes done, all of them, or None where that is not known)."""


class Rows:
    """The rows of trajectories, built one by one as they are iterated; `report` is of the last time through. See `build_rows`."""

    def __init__(
        self,
        trajectories: Iterable[Trajectory],
        bank: Bank | Retriever | None,
        config: DataConfig,
        environment: TextEnvironment | None = None,
        tokenizer: Any = None,
        progress: Progress | None = None,
    ) -> None:
        retriever = bank.changed() if isinstance(bank, Retriever) else None
        source = bank.bank if isinstance(bank, Retriever) else bank
        if retriever is not None:
            config = _with_choices_of(retriever, config)
        config.check_bank(source)
        if config.agent.index_state in ("matched", "mismatched") and not config.agent.index_types:  # of all of them, as in a run
            trajectories = list(trajectories)
            config = config.changed(index_types=sorted({t.task.type for t in trajectories}))
            if retriever is not None:
                retriever.index_types = frozenset(config.agent.index_types)
        self.config = config
        self.bank = source
        self.bank_version = source.version if source is not None else None
        self.tokens = ChatTokens(tokenizer, config.system, config.chat_template_kwargs) if tokenizer is not None else None
        if config.max_tokens is not None and self.tokens is None:
            raise ConfigError("max_tokens is in the model's own tokens: a tokenizer is needed.", cure="Name one.")
        limits = [n for n in (config.max_tokens, self.tokens.limit if self.tokens else None) if n is not None]
        self.limit = min(limits, default=None)
        self.report = Report()
        self.environments: dict[str, str] = {}
        self._trajectories = trajectories
        self._own_environment = environment
        self._progress = progress
        self._count = lru_cache(maxsize=65_536)(self.tokens.count) if self.tokens else approximate_tokens
        self._defuse = defuser(tokenizer)
        self._retrievers = None
        if source is not None and config.asks_bank:
            self._retrievers = Retrievers(retriever or with_hint_model(config.agent.make_retriever(source)), config)
        self._replays: dict[str, Replay] = {}
        self._type_names: dict[str, frozenset[str]] = {}

    def __iter__(self) -> Iterator[Row]:
        self.report = report = Report(notes=self._notes())
        total = len(self._trajectories) if isinstance(self._trajectories, Sized) else None
        ids: set[str] = set()
        number = 0
        for trajectory in self._trajectories:
            if self.config.limit is not None and number >= self.config.limit:
                break
            report.episodes += 1
            reason = "given twice" if trajectory.id in ids else self._reason_against(trajectory)
            ids.add(trajectory.id)
            if reason:
                report.left_out[reason] += 1
            else:
                number += 1
                yield from self._rows(trajectory)
            if self._progress:
                self._progress(report.episodes, total)
        if not report.rows:
            raise ConfigError(f"No rows: {report.why_none()}.", cure="Look at types, splits, failures and max_tokens.")

    def _notes(self) -> list[str]:
        note = stop_note(self.tokens.template, str(self.tokens.tokenizer.name_or_path or "")) if self.tokens else ""
        return [note] if note else []

    def _reason_against(self, trajectory: Trajectory) -> str:
        """Why an episode gives no rows; "" if it does."""
        config, task = self.config, trajectory.task
        if config.types and task.type not in self._types(task.environment):
            return "of another task type"
        if config.splits and task.split not in config.splits:
            return "of another split"
        if trajectory.ended == "error":
            return "broke off with an error"
        if not trajectory.steps:
            return "without a step"
        if trajectory.success is None:
            return "of unknown outcome"
        if not trajectory.success and config.failures in ("memory", "drop"):
            return "missed the goal"
        return ""

    def _rows(self, trajectory: Trajectory) -> Iterator[Row]:
        choice = choose(self.config, trajectory.id) if self._retrievers else Choice(0, NONE)
        base = self._replay(trajectory)
        replay = replace(base, retriever=self._retrievers.of(choice)) if self._retrievers else base
        memory_tells = not self._retrievers or choice.memory not in (EMPTY, MISMATCHED, NONE)  # what new words mean
        if memory_tells and (renamed := renamed_replay(replay, trajectory, self.config)):
            self.report.renamed += 1
            replay = renamed
        masked = masked_steps(trajectory, self.config)
        number = 0
        for span in replay.spans(trajectory):
            turns = range(span.first, span.last + 1)
            parts = [replace(span, first=n, last=n) for n in turns] if self.config.per_turn else [span]
            for part in parts:
                row = self._row(trajectory, replay, part, masked, choice, number)
                if row is not None:
                    number += 1
                    yield row

    def _row(
        self, trajectory: Trajectory, replay: Replay, span: Span, masked: set[int], choice: Choice, number: int
    ) -> Row | None:
        """The row of a span, with its memory shortened if it must be; None, with the reason counted, if there is none."""
        report = self.report
        if masked.issuperset(range(span.first, span.last + 1)):
            report.dropped["nothing to learn in it"] += 1
            return None
        memory = span.memory
        budget: int | None = None
        while True:
            messages = replay.chat(trajectory, span.last, memory)
            if self.config.failures == "label" and trajectory.success is False:
                messages[0] = {**messages[0], "content": f"{messages[0]['content']}\n\n{FAILED}"}
            train = trained_turns(messages, span, masked)
            tokens = self.tokens.encode(messages, train) if self.tokens else None
            over = len(tokens.input_ids) - self.limit if tokens and self.limit else 0
            if over <= 0:
                break
            if memory is None or not memory.blocks or budget == 0:
                report.dropped[f"longer than {self.limit} tokens without any memory"] += 1
                return None
            size = memory.size(self._count) - over
            budget = max(0, size if budget is None else min(size, budget - 1))
            memory = replay.shorter(trajectory, span, budget)
        recalls = span.memory is not None and bool(span.memory.recalled or span.memory.dropped)
        self._count_row(memory, choice, tokens, sum(train), recalls, shortened=budget is not None)
        return Row(
            id=f"{trajectory.id}/{number}",
            trajectory=trajectory.id,
            task=trajectory.task.to_json(),
            success=trajectory.success,
            first=span.first,
            last=span.last,
            memory=choice.memory,
            k=choice.k,
            recalled=[item.model_dump(include={"id", "score", "reason"}) for item in memory.recalled] if memory else [],
            bank_version=memory.bank_version if memory else None,
            messages=messages,
            train=train,
            input_ids=tokens.input_ids if tokens else None,
            labels=tokens.labels if tokens else None,
        )

    def _count_row(
        self, memory: MemoryState | None, choice: Choice, tokens: Tokens | None, turns: int, recalls: bool, shortened: bool
    ) -> None:
        report = self.report
        report.rows += 1
        report.turns += turns
        report.memory[choice.memory] += 1
        if choice.memory not in (NONE, EMPTY) and not recalls:
            report.nothing_recalled += 1
        if shortened:
            report.shortened[f"to {self.limit} tokens"] += 1
        elif memory and (memory.abbreviated or memory.dropped):
            report.shortened["by the memory budget"] += 1
        if tokens:
            report.count_tokens(tokens)

    def _environment(self, name: str) -> TextEnvironment:
        if self._own_environment is not None and self._own_environment.name == name:
            return self._own_environment
        environment: TextEnvironment = create_registered("environment", name, **self.config.environment_options)
        return environment

    def _types(self, name: str) -> frozenset[str]:
        """The task types of the configuration: an environment may have words for several of them ("easy")."""
        if name not in self._type_names:
            words = self.config.types
            try:
                environment = self._environment(name)
                types = {task.type for split in environment.splits for task in environment.tasks(split, words)}
            except ExpragError:  # it is not here, or knows no such type: then the words are types
                types = set()
            self._type_names[name] = frozenset({*words, *types})
        return self._type_names[name]

    def _replay(self, trajectory: Trajectory) -> Replay:
        """The prompt of the trajectory's environment, which must be in the trajectory's own version."""
        config, name = self.config, trajectory.task.environment
        if name not in self._replays:
            environment = self._environment(name)
            self.environments[name] = fingerprint(environment)
            prompt = config.agent.make_prompt(environment, self.bank, self._count, self._defuse)
            options = config.agent.memory_options(self._defuse)
            self._replays[name] = Replay(prompt, None, config.agent.make_formatter(), options, self._count)
        if trajectory.fingerprint != self.environments[name]:
            if not config.other_versions:
                raise ConfigError(
                    f"The trajectory {trajectory.id!r} is of {trajectory.fingerprint or 'an unnamed version'}; the environment "
                    f"here is {self.environments[name]}: its actions may be written otherwise.",
                    cure="Collect them again, or allow it: other_versions = true.",
                )
            self.report.other_versions += 1
        return self._replays[name]


def build_rows(
    trajectories: Iterable[Trajectory],
    bank: Bank | Retriever | None,
    config: DataConfig,
    environment: TextEnvironment | None = None,
    tokenizer: Any = None,
    progress: Progress | None = None,
) -> Rows:
    """Rows from trajectories, built one by one as they are iterated; afterwards `report` says what became of all.

    bank          where memory is recalled from, or a retriever (whose own choices then stand in the config); None with k = 0
    environment   whose action templates the prompt lists, where it is not an installed plugin
    tokenizer     a Hugging Face tokenizer: rows get `input_ids` and `labels`, and budgets are in its tokens

    Raises ConfigError for a tokenizer without a chat template, a trajectory of another version of its environment, and where
    no row comes out; RetrievalError, BankError and PluginError as the graph would.
    """
    return Rows(trajectories, bank, config, environment, tokenizer, progress)


def _with_choices_of(retriever: Retriever, config: DataConfig) -> DataConfig:
    """The configuration with the retriever's own choices, so that the dataset's description is true."""
    names = ("k", "carry_over", "refresh", "search_mode", "key_strategy", "index_state", "exclude_by", "document_k", "hint_k")
    return config.changed(
        **{name: getattr(retriever, name) for name in names},
        strategy=retriever.strategy_name,
        selector=retriever.selector_name,
        index_types=sorted(retriever.index_types),
    )
