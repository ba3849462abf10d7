"""The prompts of a run as they were sent, written again from its record by the code that wrote them then.

Neither prompts nor memory blocks are stored: `Prompt` and `build_block` give the same text for the same task, steps, recalled
trajectories and configuration. What the record does not hold cannot be written again, and `PromptWriter.doubts` says so:
documents beside the trajectories, and token budgets in the tokens of a local model where its tokenizer is not given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import BaseMessage, SystemMessage
from pydantic import Field

from exprag.config import AgentConfig, Settings
from exprag.contracts import Formatter, TextEnvironment
from exprag.contracts.query_strategy import StepStrategy, window
from exprag.contracts.selector import Candidate
from exprag.errors import BankError, ConfigError, ExpragError
from exprag.evaluation.recalled import is_remote
from exprag.evaluation.results import RunResult
from exprag.memory import MemoryState, ShownHint
from exprag.models.tokens import defuser, token_counter
from exprag.plugins import create_registered
from exprag.prompt import Prompt
from exprag.prompt.block import MemoryOptions, approximate_tokens, build_block
from exprag.prompt.hint_block import hint_ids
from exprag.trajectory import Recalled, Step, Trajectory
from exprag.trusted_code import Options, PluginName, refuse_code


@dataclass
class PromptWriter:
    """Writes the prompts of one run's episodes. `windows` are the steps before and after the one that matched, where keys are by
    step; `recalled` the trajectories by id, `hints` the texts of hints by id."""

    prompt: Prompt
    formatter: Formatter
    options: MemoryOptions
    recalled: Mapping[str, Trajectory]
    count_tokens: Any = approximate_tokens
    windows: tuple[int, int] | None = None
    doubts: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    _blocks: dict[Any, tuple[str, tuple[Recalled, ...]]] = field(default_factory=dict)

    def memories(self, trajectory: Trajectory) -> list[MemoryState | None]:
        """The memory in force at each step; None where the text of a recalled trajectory, or of a hint, is missing."""
        ids = hint_ids(trajectory)
        if any(id not in self.hints for id in ids):
            return [None] * len(trajectory.steps)
        hints = tuple(ShownHint(id=id, text=self.hints[id]) for id in ids)
        states: list[MemoryState | None] = []
        state: MemoryState | None = MemoryState(hints=hints)
        before: tuple[Recalled, ...] = ()
        for number, step in enumerate(trajectory.steps):
            if step.recalled != before:
                state = self._after(state, before, step.recalled, number)
                if state is not None and hints:
                    state = state.model_copy(update={"hints": hints})
                before = step.recalled
            states.append(state)
        return states

    def messages(self, trajectory: Trajectory, number: int, memory: MemoryState | None) -> list[BaseMessage]:
        """The prompt of a step, as the model got it."""
        return self.write(trajectory, trajectory.steps[:number], trajectory.steps[number].observation, memory)

    def write(
        self, trajectory: Trajectory, steps: Sequence[Step], observation: str, memory: MemoryState | None
    ) -> list[BaseMessage]:
        """The prompt after some steps of an episode, with what the run told the model beside it (`Context.instruction`)."""
        messages = self.prompt.messages(trajectory.task, steps, observation, memory)
        if instruction := trajectory.provenance.extra.get("instruction"):
            messages[0] = SystemMessage(f"{messages[0].text}\n\n{instruction}")
        return messages

    def _after(
        self, state: MemoryState | None, before: tuple[Recalled, ...], now: tuple[Recalled, ...], number: int
    ) -> MemoryState | None:
        growing = self.options.growing and now[: len(before)] == before
        latest = now[len(before) :] if growing else now
        if (growing and state is None) or any(item.id not in self.recalled for item in latest):
            return None
        in_force = state if growing and state is not None else MemoryState()
        block = MemoryState.from_text(self._block(latest, in_force), number).model_copy(update={"recalled": latest})
        if growing:
            return in_force.grown_by(block)
        return state.replaced_by(block) if state is not None else block

    def _block(self, items: tuple[Recalled, ...], in_force: MemoryState) -> str:
        options = self.options
        if options.budget is not None:
            options = replace(options, budget=max(0, options.budget - in_force.size(self.count_tokens)))
        key = (tuple((item.id, item.step) for item in items), options.budget)
        if key not in self._blocks:
            block = build_block([self._candidate(item) for item in items], self.formatter, options, self.count_tokens)
            self._blocks[key] = block.text, block.dropped
        text, dropped = self._blocks[key]
        if dropped:
            doubt = "The token budget leaves out what the record says was there: the model counted in tokens of its own."
            self.doubts = tuple(dict.fromkeys([*self.doubts, doubt]))
        return text

    def _candidate(self, item: Recalled) -> Candidate:
        trajectory = self.recalled[item.id]
        if item.step is not None and self.windows is not None:
            trajectory = window(trajectory, item.step, *self.windows)
        return Candidate(trajectory, item.score, item.reason, item.step)


def prompt_writer(
    run: RunResult,
    recalled: Mapping[str, Trajectory],
    tokenizer: Any = None,
    environment: TextEnvironment | None = None,
) -> PromptWriter:
    """The writer of a run's prompts. `tokenizer`: the local model's, where budgets are in its tokens; `environment`: where it is
    not an installed plugin.

    Raises ExpragError where they cannot be written again: an expert or a graph of the user's own played, the configuration names
    code or a plugin that is not installed.
    """
    if not run.is_agent:
        raise ConfigError("An expert played, which reads no prompt.")
    if run.config.get("graph"):
        raise ConfigError("A graph of the user's own played, which may write other prompts.")
    config = AgentConfig.make(**{name: value for name, value in run.agent.items() if name in AgentConfig.model_fields})
    refuse_code(config, "the run's configuration")
    if environment is None:
        names = {name: value for name, value in run.config.items() if name in _Environment.model_fields}
        about = _Environment.make(**names)
        refuse_code(about, "the run's configuration")
        environment = create_registered("environment", about.environment, **about.environment_options)
    inert, count = defuser(tokenizer), token_counter(_Model(tokenizer))
    prompt = config.make_prompt(environment, _bank(run, config), count, inert)
    windows = None
    if any(item.step is not None for episode in run.episodes for step in episode.steps for item in step.recalled):
        strategy = create_registered("query_strategy", config.strategy, **config.strategy_options)
        windows = (strategy.before, strategy.after) if isinstance(strategy, StepStrategy) else None
    doubts = _doubts(config, run, tokenizer)
    options = config.memory_options(inert)
    return PromptWriter(prompt, config.make_formatter(), options, recalled, count, windows, doubts, _hints(run))


class _Environment(Settings):
    """What a run's configuration says of its environment."""

    environment: PluginName = ""
    environment_options: Options = Field(default_factory=dict)


@dataclass(frozen=True)
class _Model:
    tokenizer: Any


def _doubts(config: AgentConfig, run: RunResult, tokenizer: Any) -> tuple[str, ...]:
    doubts = []
    if config.document_k and run.has_memory:
        doubts.append("Documents stood beside the trajectories; the record does not hold them, and they are missing here.")
    if tokenizer is None and (config.memory_budget is not None or config.history_budget is not None):
        doubts.append(
            "Token budgets are counted here at four characters a token. A model that runs locally counts its own tokens: with "
            "--tokenizer the same is done here."
        )
    return tuple(doubts)


def _hints(run: RunResult) -> dict[str, str]:
    """The texts of the bank's hints by id, where an episode read some; empty where the bank cannot be read."""
    if run.bank is None or is_remote(run.bank) or not any(hint_ids(episode) for episode in run.episodes):
        return {}
    from exprag.bank import Bank
    from exprag.bank.items import Items

    try:
        return {item.id: item.text for item in Items(Bank.open(run.bank))}  # the latest: none is deleted
    except BankError:
        return {}


def _bank(run: RunResult, config: AgentConfig) -> Any:
    """The bank that worked examples come from; None where none do."""
    if not config.examples.startswith("bank:") or run.bank is None or is_remote(run.bank):
        return None
    from exprag.bank import Bank

    return Bank.open(run.bank, version=None if run.learns else run.config.get("bank_version"))


def writers(
    runs: list[RunResult], recalled: Mapping[str, Trajectory], tokenizer: Any = None
) -> tuple[list[PromptWriter | None], list[str]]:
    """The writer of each run's prompts, None where there is none, and for each run why; "" for nothing."""
    result: list[PromptWriter | None] = []
    reasons = []
    for run in runs:
        try:
            writer = prompt_writer(run, recalled, tokenizer)
        except (ExpragError, ImportError, AttributeError, TypeError, ValueError) as error:
            result.append(None)
            reasons.append(error.message if isinstance(error, ExpragError) else str(error))
        else:
            result.append(writer)
            reasons.append("")
    return result, reasons
