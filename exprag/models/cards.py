"""What an adapter folder says about itself: exprag.json for programs, README.md for people, and a base path that can travel.

exprag.json is written last: a folder that holds it is whole. The agent configuration in it is the one that the rows were built
with, and serving the adapter with another one warns.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from exprag.config import AgentConfig
from exprag.errors import ExpragError, RunError, first_fault
from exprag.files import write_whole
from exprag.plugins import create_registered
from exprag.trusted_code import named_code

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CARD = "exprag.json"
CONFIG = "adapter_config.json"
PACKAGES = ("exprag", "trl", "peft", "transformers", "torch", "accelerate", "datasets", "bitsandbytes")


PROMPT = ("style", "style_options", "examples", "history_budget")  # what an agent without memory is made of


class ServedOtherwise(UserWarning):
    """An adapter is served with other memory or prompts than it was trained with."""


class Base(BaseModel):
    """The base model: its id or folder, and hashes of its config and its tokenizer, by which it is known again."""

    model_config = ConfigDict(frozen=True)

    name: str
    config: str = ""
    tokenizer: str = ""


class Card(BaseModel):
    """What an adapter was made from.

    dataset              where the rows lie, or "" for rows that were handed over; `rows`: what they say about themselves
    recipe               the settings of the training
    agent                what the rows were built with (None where they do not say), and with it what is to be served
    environment, bank    of the rows, for playing the adapter as it was trained
    system, chat_template_kwargs  how the chat template was used (`exprag.models.chat_template`), and is to be used again
    results              the latest losses (`loss`, `eval_loss` or `eval_NAME_loss`) and, once played, `rollouts` by set
    """

    model_config = ConfigDict(frozen=True)

    format: int = 1
    base: Base
    recipe: dict[str, JsonValue] = Field(default_factory=dict)
    agent: AgentConfig | None = None
    environment: str = ""
    bank: str | None = None
    bank_version: int | None = None
    dataset: str = ""
    rows: dict[str, JsonValue] = Field(default_factory=dict)
    system: Literal["auto", "fold", "native"] = "auto"
    chat_template_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    step: int = 0
    epoch: float = 0.0
    results: dict[str, JsonValue] = Field(default_factory=dict)
    packages: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read_old(cls, values: Any) -> Any:
        """Cards of version 0.1 call the recipe a profile and the agent's configuration an arm."""
        names = {"profile": "recipe", "arm": "agent"}
        return {names.get(name, name): value for name, value in values.items()} if isinstance(values, dict) else values

    @classmethod
    def read(cls, folder: str | Path) -> Card:
        """The card of an adapter folder. Raises RunError where there is none, or a damaged one."""
        path = Path(folder) / CARD
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise RunError(f"{folder} has no {CARD}.", cure="Name a checkpoint of `exprag train`, or OUT/best.") from error
        except ValidationError as error:
            raise RunError(f"{path} is damaged: {first_fault(error)}.") from error

    def write(self, folder: str | Path) -> None:
        """README.md, then exprag.json, each as a whole or not at all."""
        write_whole(Path(folder) / "README.md", readme(self))
        write_whole(Path(folder) / CARD, self.model_dump_json(indent=2) + "\n")


def finish_adapter(folder: Path, card: Card) -> None:
    """Make the folder that PEFT wrote travel, and write its card."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = portable_base(card.base.name, folder)
    write_whole(folder / CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n")
    card.write(folder)


def portable_base(base: str, adapter: Path) -> str:
    """How the adapter names its base: an id as it is; a folder beside the training's by a relative path, which travels with
    both; one that lies elsewhere by its absolute path, for which `hf:ADAPTER?base=FOLDER` can be said later."""
    folder = Path(base).expanduser()
    if not folder.is_dir():
        return base
    relative = Path(os.path.relpath(folder.resolve(), adapter.resolve()))
    # ADAPTER/../.. is the folder that holds the training: what lies in it is beside it.
    return relative.as_posix() if relative.parts.count("..") <= 2 else str(folder.resolve())


def describe_base(name: str, config: Any, tokenizer: Any) -> Base:
    """The base by its name, and hashes of its transformers config and tokenizer."""
    from exprag.models.tokens import tokenizer_hash

    fields = {key: value for key, value in config.to_dict().items() if key not in ("_name_or_path", "transformers_version")}
    text = json.dumps(fields, sort_keys=True, default=str)
    return Base(name=name, config=hashlib.sha256(text.encode()).hexdigest()[:16], tokenizer=tokenizer_hash(tokenizer))


def packages() -> dict[str, str]:
    """The versions of what trains."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def warn_if_served_otherwise(model: BaseChatModel, agent: AgentConfig, *, memory: bool) -> None:
    """Warn (ServedOtherwise) naming each field of the agent in which a local adapter is served otherwise than it was trained.

    `memory`: whether the agent has a bank. Other models, and adapters without a card, pass.
    """
    folder = getattr(model, "adapter", None)
    if not folder or not (Path(folder) / CARD).is_file():
        return
    card = Card.read(folder)
    different = differences(card, agent, memory=memory)
    if different:
        message = f"The adapter {folder} is served otherwise than it was trained: {', '.join(different)}."
        warnings.warn(ServedOtherwise(message), stacklevel=3)


def differences(card: Card, agent: AgentConfig, *, memory: bool) -> list[str]:
    """`field (… trained, … served)` for each field that differs. A field that only memory reads is passed by without one."""
    if card.agent is None:
        return []
    trained, config = card.agent, cast(dict[str, Any], card.rows.get("config", {}))
    ks = tuple(config.get("k_choices") or (trained.k,))
    with_memory, memory = card.bank is not None and max(ks) > 0, memory and agent.k > 0
    if with_memory != memory:
        words = {True: "from a bank", False: "none"}
        different = [f"memory ({words[with_memory]} trained, {words[memory]} served)"]
    else:
        different = []
    for name in AgentConfig.model_fields if with_memory and memory else PROMPT:
        was, now = (_meant(each, name) for each in (trained, agent))
        expected = (name == "k" and now in ks) or name == "index_types"  # these types are those of the tasks at hand
        if was != now and not expected:
            different.append(f"{name} ({was!r} trained, {now!r} served)")
    return different


def _meant(agent: AgentConfig, name: str) -> object:
    """What a field says, with a default said out loud: the refresh that is the strategy's own. Code is not run to learn that."""
    value = getattr(agent, name)
    if name != "refresh" or value is not None or any(named_code(agent)):
        return value
    try:
        return str(create_registered("query_strategy", agent.strategy, **agent.strategy_options).refresh)
    except ExpragError:  # a strategy that is not installed here: it differs by name anyway
        return value


def readme(card: Card) -> str:
    """The model card, in the Hub's format: metadata for its search, then Markdown. Needs huggingface_hub, as training does."""
    from huggingface_hub import ModelCard, ModelCardData

    base = Path(card.base.name).name if Path(card.base.name).is_absolute() or card.base.name.startswith(".") else card.base.name
    agent, recipe = card.agent, card.recipe
    tags = ["exprag", "lora", "trl"]
    metadata = ModelCardData(base_model=base, library_name="peft", pipeline_tag="text-generation", tags=tags)
    about = [
        ("Base", f"`{card.base.name}`"),
        ("Base config, tokenizer", f"sha256 `{card.base.config}…`, `{card.base.tokenizer}…`"),
        ("Environment", card.environment),
        ("Rows", card.dataset),
        ("Bank", f"{card.bank} version {card.bank_version}" if card.bank else "none"),
        ("Trained", f"{card.epoch:g} epochs, {card.step} steps, seed {recipe.get('seed', 'unknown')}"),
    ]
    if agent:
        about += [("Style", agent.style), ("Strategy", f"{agent.strategy}, {agent.refresh or 'as it says'}"), ("K", str(agent.k))]
        about += [("Selector", agent.selector), ("Formatter", agent.formatter), ("Placement", agent.placement)]
    settings = [(name, f"`{value}`") for name, value in recipe.items() if name != "name"]
    title = f"# {recipe.get('name') or 'LoRA'} adapter of {base}"
    parts = ["---", metadata.to_yaml(), "---", "", title, "", _table(("what", "which"), [row for row in about if row[1]])]
    parts += ["", "Serve it as it was trained: `exprag.json` holds the whole configuration, and serving with another one warns."]
    parts += ["", "## Results", "", _results(card.results), "", "## Recipe", "", _table(("field", "value"), settings)]
    parts += ["", "## Packages", "", _table(("package", "version"), list(card.packages.items())), ""]
    return str(ModelCard("\n".join(parts), ignore_metadata_errors=True))


def _results(results: dict[str, Any]) -> str:
    rows = [(name, f"{value:.4f}") for name, value in results.items() if isinstance(value, float)]
    for name, r in results.get("rollouts", {}).items():
        rows.append((f"success, {name}", f"{r['success']:.1%} of {r['n']} ({r['low']:.1%} to {r['high']:.1%})"))
    return _table(("measure", "value"), rows) if rows else "None yet."


def _table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    cells = [(a.replace("|", "\\|"), b.replace("|", "\\|")) for a, b in rows]
    return "\n".join([f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {a} | {b} |" for a, b in cells)])
