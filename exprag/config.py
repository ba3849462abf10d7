"""Configurations as plain data: what is chosen about an agent's memory and prompt, and the base of everything that holds it.

`AgentConfig` is one arm of a comparison. Runs (`RunConfig`), training rows (`DataConfig`) and adapter cards hold one and make
the same objects from it, so that what is trained is what is served. A new choice is one field here: it appears in Python, in
TOML and JSON files, as a command-line option and in the adapter's card.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from exprag.errors import ConfigError, closest, first_fault
from exprag.text import defuse
from exprag.trusted_code import NamesCode, Options, PluginName, refuse_code

if TYPE_CHECKING:
    from exprag.bank import Bank
    from exprag.contracts import AgentStyle, Formatter, TextEnvironment
    from exprag.prompt import Prompt
    from exprag.prompt.block import MemoryOptions
    from exprag.retrieval import Retriever


def _check_refresh(word: str) -> str:
    from exprag.retrieval.refresh import check_refresh

    return check_refresh(word)


class Settings(BaseModel):
    """A frozen, validated group of settings that is read from Python, TOML or JSON. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    old_names: ClassVar[Mapping[str, str]] = {}
    """Field names of version 0.1, and what they are now: files that were saved then are still read."""

    sections: ClassVar[Mapping[str, str]] = {}
    """Headings of help and documentation, each by the name of the first field that stands under it."""

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {cls.old_names.get(name, name): value for name, value in values.items()}

    @classmethod
    def make(cls, **values: Any) -> Self:
        """Validate; raises ConfigError naming the field and what was expected."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise invalid(cls, error) from error

    @classmethod
    def read(cls, path: str | Path, *, allow_code: bool = False, **overrides: Any) -> Self:
        """From a TOML or JSON file, with values given here on top. Raises ConfigError naming file, field and expectation.

        Code that the file names (an import path in place of a plugin's name, a graph, a rule) is refused, unless the overrides
        name it too, or `allow_code` says that the file is trusted. See `exprag.trusted_code`.
        """
        data = read_settings(path)
        try:
            settings = cls.make(**merged(data, overrides))
        except ConfigError as error:
            raise ConfigError(f"{path}: {error.message}", cure=error.cure) from error
        if not allow_code:
            refuse_code(settings, path, overrides)
        return settings

    def changed(self, **values: Any) -> Self:
        """The same settings with some fields otherwise, validated; a holder takes its agent's fields too."""
        return self.make(**merged(self.model_dump(), values))


class AgentConfig(Settings):
    """What is chosen about an agent's memory and prompt. Names are of plugins (`exprag plugins`)."""

    old_names: ClassVar[Mapping[str, str]] = {
        "key": "key_strategy",
        "keep": "carry_over",
        "mode": "search_mode",
        "index": "index_state",
        "wider": "exclude_by",
        "documents": "document_k",
        "labels": "outcome_labels",
    }
    sections: ClassVar[Mapping[str, str]] = {
        "style": "Agent",
        "strategy": "Memory",
        "formatter": "Memory in the prompt",
        "history_budget": "Agent",
    }

    style: PluginName = "act"
    """Agent style: how the model is asked for an action (act, react, stateact)."""
    style_options: Options = Field(default_factory=dict)
    """Options of the style, NAME=VALUE."""
    examples: str = ""
    """Worked episodes for the prompt: a JSONL file, or bank:N for the N shortest successes of the bank."""
    strategy: PluginName = "task"
    """Query strategy: the text that the bank is asked for."""
    strategy_options: Options = Field(default_factory=dict)
    """Options of the query strategy, NAME=VALUE."""
    key_strategy: Annotated[str | None, NamesCode("name")] = None
    """Query strategy whose stored keys are searched; default: the strategy's own."""
    refresh: Annotated[str, AfterValidator(_check_refresh)] | None = None
    """When the bank is asked: once (static), every_step (dynamic), every_N_steps, on_change; default: the strategy's own."""
    selector: PluginName = "top_k"
    """Selector: which of the candidates are recalled."""
    selector_options: Options = Field(default_factory=dict)
    """Options of the selector, NAME=VALUE."""
    k: int = Field(2, ge=0)
    """Trajectories recalled at a time; 0: none."""
    carry_over: int = Field(0, ge=0)
    """Trajectories in force that stay when the memory is refreshed, at most."""
    search_mode: Literal["auto", "vector", "lexical", "hybrid"] = "auto"
    """How keys are compared; auto: by vectors where the bank has them, else by words."""
    index_state: Literal["all", "matched", "mismatched", "empty"] = "all"
    """What the agent may find: all, trajectories of matching task types only, of other types only, or nothing."""
    index_types: tuple[str, ...] = ()
    """Task types that count as matching; default: those of the tasks at hand."""
    exclude_by: tuple[str, ...] = ()
    """Metadata fields of tasks: trajectories of a task with an equal value are excluded too (the same floor plan)."""
    trust: tuple[str, ...] | None = None
    """Which rows of the bank may be found: trusted, quarantined; default: trusted."""
    document_k: int = Field(0, ge=0)
    """Documents of the bank that are found beside the trajectories."""
    document_budget: int | None = Field(None, ge=0)
    """Tokens that the documents may take; default: no limit."""
    hint_k: int = Field(0, ge=0)
    """Hints of the bank that stand after the task, found once at the first step; more than 3 hurt (arXiv 2510.01375)."""
    hint_rank: Literal["lexical", "embedding", "model"] = "lexical"
    """How the hints of a task's type are ranked: by words, by the bank's vectors, or by a chat model."""
    hint_model: Annotated[str | None, NamesCode("options")] = None
    """Chat model that ranks them, where hint_rank is model."""
    hint_budget: int | None = Field(None, ge=0)
    """Tokens that the hints may take; default: no limit."""
    formatter: PluginName = "chat_json"
    """Formatter: how a recalled trajectory is written."""
    formatter_options: Options = Field(default_factory=dict)
    """Options of the formatter, NAME=VALUE."""
    memory_budget: int | None = Field(None, ge=0)
    """Tokens that the memory block may take, in the model's own tokens; default: no limit."""
    outcome_labels: bool = True
    """Whether recalled trajectories are labelled successful or unsuccessful (ExpRAG, section 3)."""
    order: Literal["best_first", "best_last"] = "best_first"
    """Order of the recalled trajectories."""
    placement: Literal["system", "task", "tail"] = "system"
    """Where memory stands: before the task, after it, or in the message of the step that recalled it."""
    history_budget: int | None = Field(None, ge=1)
    """Tokens that the episode's turns may take before the earlier ones are compressed; default: no limit."""

    def make_retriever(self, bank: Bank) -> Retriever:
        """Raises RetrievalError or ConfigError for what the bank or the plugins do not have."""
        from exprag.bank.filters import Filter
        from exprag.retrieval import Retriever

        where = Filter() if self.trust is None else Filter(trust=self.trust)
        shared = [name for name in signature(Retriever).parameters if name in type(self).model_fields]
        return Retriever(bank, where=where, **{name: getattr(self, name) for name in shared})

    def make_formatter(self) -> Formatter:
        """Raises PluginError for an unknown formatter, ConfigError for one that does not keep to the contract."""
        from exprag.contracts import Formatter

        return _component("formatter", self.formatter, self.formatter_options, Formatter)

    def make_style(self) -> AgentStyle:
        """Raises PluginError for an unknown style, ConfigError for one that does not keep to the contract."""
        from exprag.contracts import AgentStyle

        return _component("style", self.style, self.style_options, AgentStyle)

    def make_prompt(
        self,
        environment: TextEnvironment,
        bank: Bank | None = None,
        count_tokens: Callable[[str], int] | None = None,
        defuse: Callable[[str], str] = defuse,
    ) -> Prompt:
        """The prompt for an environment's tasks; `bank` is where examples "bank:N" come from.

        `count_tokens` and `defuse` are the model's own, see `exprag.models.tokens`.
        """
        from exprag.prompt import History, Prompt
        from exprag.prompt.block import approximate_tokens
        from exprag.prompt.examples import worked_examples

        history = History(self.history_budget, count_tokens=count_tokens or approximate_tokens) if self.history_budget else None
        examples = worked_examples(self.examples, environment.name, bank)
        return Prompt(self.make_style(), tuple(environment.action_templates), self.placement, examples, history, defuse)

    def memory_options(self, defuse: Callable[[str], str] = defuse) -> MemoryOptions:
        """How the memory block is written; `defuse` as in `make_prompt`."""
        from exprag.prompt.block import MemoryOptions

        growing = self.placement == "tail"
        budgets = {"document_budget": self.document_budget, "hint_budget": self.hint_budget}
        return MemoryOptions(self.memory_budget, self.outcome_labels, self.order, growing, defuse=defuse, **budgets)


class AgentSettings(Settings):
    """Settings that hold an AgentConfig. Its fields may also be given beside the others (`k=2` for `agent={"k": 2}`), as version
    0.1 wrote them and as the command line has them."""

    agent: AgentConfig = Field(default_factory=AgentConfig)
    """What is chosen about the agent's memory and prompt."""

    @model_validator(mode="before")
    @classmethod
    def _gather_agent(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        agent_type: Any = cls.model_fields["agent"].annotation  # a subclass of ours may hold one of AgentConfig
        names = {*agent_type.model_fields, *agent_type.old_names} - set(cls.model_fields)
        flat = {name: value for name, value in values.items() if name in names}
        if not flat:
            return values
        agent = values.get("agent", {})
        agent = dict(agent.model_dump() if isinstance(agent, AgentConfig) else agent)
        agent |= {agent_type.old_names.get(name, name): value for name, value in flat.items()}
        return {**{name: value for name, value in values.items() if name not in flat}, "agent": agent}


def merged(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The values with others on top; tables within are merged, not replaced, except the options of a plugin."""
    result = dict(values)
    for name, value in overrides.items():
        if isinstance(value, BaseModel):
            value = value.model_dump(exclude_unset=True)
        old = result.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping) and not name.endswith("_options")
        result[name] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def read_settings(path: str | Path) -> dict[str, Any]:
    """The table of a TOML file or the object of a JSON file. Raises ConfigError where it is neither, or cannot be read."""
    source = Path(path).expanduser()
    kind = "JSON" if source.suffix == ".json" else "TOML"
    try:
        text = source.read_text(encoding="utf-8-sig")
        data = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {source}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source} is not UTF-8 text.", cure="Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source} is not valid {kind}: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{source} holds a {type(data).__name__}, not a table of settings.", cure='Write {"name": value, …}.')
    return data


def invalid(settings: type[BaseModel], error: ValidationError) -> ConfigError:
    """What pydantic found wrong first, as one ConfigError: field, expectation, and near names for an unknown field."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    cure = ""
    if first["type"] == "extra_forbidden":
        names = list(settings.model_fields)
        if "agent" in settings.model_fields and issubclass(settings, AgentSettings):
            names += list(AgentConfig.model_fields)
        cure = f"{closest(place[-1], names)} Fields: {', '.join(names)}."
    return ConfigError(f"Not a valid {settings.__name__}: {first_fault(error)}.", cure=cure)


def _component(kind: str, name: str, options: Mapping[str, Any], contract: type[Any]) -> Any:
    from exprag.plugins import create

    component = create(kind, name, **options)
    if not isinstance(component, contract):
        raise ConfigError(f"The {kind} {name!r} is a {type(component).__name__}, not {contract.__name__}.")
    return component
