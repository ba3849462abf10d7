"""An arm: everything that is chosen about an agent's memory and prompt, as plain data.

Runs, training data and adapters' cards hold the same record and make the same objects from it: what is trained is what is
served.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from exprag.bank.filters import Filter
from exprag.contracts.environment import TextEnvironment
from exprag.contracts.formatter import Formatter
from exprag.contracts.style import AgentStyle
from exprag.errors import ConfigError
from exprag.files import read_jsonl
from exprag.plugins import create
from exprag.prompt import History, Prompt
from exprag.prompt.block import MemoryOptions, approximate_tokens
from exprag.retrieval import Retriever, check_refresh
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.bank import Bank

Options = dict[str, JsonValue]
Refresh = Annotated[str, AfterValidator(check_refresh)]


class Arm(BaseModel):
    """One configuration in a comparison. Names are of plugins (`exprag plugins`); `…_options` go to their factories.

    style, examples          the agent style, and worked episodes for the prompt: a JSONL file, or "bank:N" for the N shortest
                             successes of the bank, one per task type first
    strategy … wider         see `exprag.retrieval.Retriever`; `key`: whose keys are asked, default the strategy's own
    formatter … order        see `exprag.prompt.block.MemoryOptions`; `memory_budget` is in the model's own tokens
    documents                so many of the bank's documents are recalled beside the trajectories
    placement                system, task or tail, see `exprag.prompt.prompt`
    history_budget           tokens that the episode's turns may take before the earlier ones are compressed; None: no limit
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: str = "act"
    style_options: Options = Field(default_factory=dict)
    examples: str = ""
    strategy: str = "task"
    strategy_options: Options = Field(default_factory=dict)
    key: str | None = None
    refresh: Refresh | None = None
    selector: str = "top_k"
    selector_options: Options = Field(default_factory=dict)
    k: int = Field(2, ge=0)
    keep: int = Field(0, ge=0)
    mode: Literal["auto", "vector", "lexical", "hybrid"] = "auto"
    index: Literal["all", "matched", "mismatched", "empty"] = "all"
    index_types: tuple[str, ...] = ()
    wider: tuple[str, ...] = ()
    trust: tuple[str, ...] | None = None
    documents: int = Field(0, ge=0)
    document_budget: int | None = Field(None, ge=0)
    formatter: str = "chat_json"
    formatter_options: Options = Field(default_factory=dict)
    memory_budget: int | None = Field(None, ge=0)
    labels: bool = True
    order: Literal["best_first", "best_last"] = "best_first"
    placement: Literal["system", "task", "tail"] = "system"
    history_budget: int | None = Field(None, ge=1)

    @classmethod
    def make(cls, **values: Any) -> Self:
        """Validate; raises ConfigError naming the field and what was expected."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            takes = "" if where in cls.model_fields else f"Fields: {', '.join(cls.model_fields)}."
            raise ConfigError(f"Not a valid {cls.__name__}: {where}: {first['msg']}.", cure=takes) from error

    @classmethod
    def read(cls, path: str | Path, **overrides: Any) -> Self:
        """From a TOML or JSON file, with values given here on top."""
        source = Path(path)
        try:
            text = source.read_text(encoding="utf-8")
            data = json.loads(text) if source.suffix == ".json" else tomllib.loads(text)
        except OSError as error:
            raise ConfigError(f"Cannot read the configuration {source}: {error.strerror}.") from error
        except ValueError as error:
            raise ConfigError(f"{source} is not valid {'JSON' if source.suffix == '.json' else 'TOML'}: {error}.") from error
        return cls.make(**{**data, **overrides})

    @property
    def arm(self) -> Arm:
        """The fields of the arm alone, of a record that has more."""
        return Arm.model_validate({name: getattr(self, name) for name in Arm.model_fields})

    def make_retriever(self, bank: Bank) -> Retriever:
        """Raises RetrievalError or ConfigError for what the bank or the plugins do not have."""
        where = Filter() if self.trust is None else Filter(trust=self.trust)
        return Retriever(
            bank,
            self.strategy,
            self.selector,
            self.k,
            strategy_options=self.strategy_options,
            selector_options=self.selector_options,
            where=where,
            wider=self.wider,
            refresh=self.refresh,
            keep=self.keep,
            index=self.index,
            index_types=self.index_types,
            key=self.key,
            mode=self.mode,
            documents=self.documents,
        )

    def make_formatter(self) -> Formatter:
        made = create("formatter", self.formatter, **self.formatter_options)
        if not isinstance(made, Formatter):
            raise ConfigError(f"The formatter {self.formatter!r} is a {type(made).__name__}, not a Formatter.")
        return made

    def make_style(self) -> AgentStyle:
        made = create("style", self.style, **self.style_options)
        if not isinstance(made, AgentStyle):
            raise ConfigError(f"The style {self.style!r} is a {type(made).__name__}, not an AgentStyle.")
        return made

    def make_prompt(
        self,
        environment: TextEnvironment,
        bank: Bank | None = None,
        count_tokens: Callable[[str], int] = approximate_tokens,
    ) -> Prompt:
        """The prompt for an environment's tasks; `bank` is where examples "bank:N" come from."""
        history = History(self.history_budget, count_tokens=count_tokens) if self.history_budget else None
        templates = tuple(environment.action_templates)
        examples = tuple(self._examples(environment.name, bank))
        return Prompt(self.make_style(), templates, self.placement, examples, history)

    def memory_options(self) -> MemoryOptions:
        return MemoryOptions(self.memory_budget, self.labels, self.order, self.placement == "tail", self.document_budget)

    def _examples(self, environment: str, bank: Bank | None) -> list[Trajectory]:
        kind, _, number = self.examples.partition(":")
        if not self.examples:
            return []
        if kind != "bank" or not number.isdigit():
            if not Path(self.examples).is_file():
                raise ConfigError(f"There are no examples {self.examples!r}.", cure="Name a JSONL file, or say bank:N.")
            return list(read_jsonl(self.examples))
        if bank is None:
            raise ConfigError("Examples from the bank need a bank.", cure="Name one, or give a JSONL file.")
        return _shortest(bank.trajectories(Filter(environment=environment, success=True)), int(number))


def _shortest(found: Any, number: int) -> list[Trajectory]:
    """The shortest episodes, of as many task types as there are."""
    by_type: dict[str, list[Trajectory]] = {}
    for trajectory in sorted(found, key=lambda t: (len(t.steps), t.id)):
        by_type.setdefault(trajectory.task.type, []).append(trajectory)
    ranked = sorted((rank, len(t.steps), t.id, t) for ts in by_type.values() for rank, t in enumerate(ts))
    return [t for *_, t in ranked[:number]]
