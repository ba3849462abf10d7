"""What training rows are made from and how: an agent's configuration and what is chosen about the data, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from exprag.config import AgentSettings
from exprag.errors import ConfigError
from exprag.trusted_code import Options

Failures = Literal["memory", "drop", "mask", "label"]


class DataConfig(AgentSettings):
    """An agent's configuration, and how rows are made for it: an agent served with the same one sees prompts of the same form."""

    sections: ClassVar[Mapping[str, str]] = {"bank": "Memory", "types": "Episodes", "k_choices": "Rows"}

    bank: str | None = None
    """Experience bank that memory comes from; default: none, rows without memory (k = 0)."""
    bank_version: int | None = None
    """Version of the bank; default: the latest, pinned when the rows are built."""
    types: tuple[str, ...] = ()
    """Task types whose trajectories become rows; default: all."""
    splits: tuple[str, ...] = ()
    """Splits whose trajectories become rows; default: all."""
    limit: int | None = Field(None, ge=1)
    """Trajectories that become rows, at most."""
    environment_options: Options = Field(default_factory=dict)
    """Options of the environment that brings the action templates, NAME=VALUE."""
    other_versions: bool = False
    """Also take trajectories of another version of their environment; they are counted."""
    seed: int = 2025
    """Seed of what is drawn for each episode."""
    k_choices: tuple[int, ...] = ()
    """K is drawn for each episode from these, instead of k."""
    empty_share: float = Field(0.0, ge=0, le=1)
    """Share of the episodes that are shown no memory: a guard against the collapse with an empty index."""
    mismatched_share: float = Field(0.0, ge=0, le=1)
    """Share of the episodes whose memory is of other task types only."""
    distractor_share: float = Field(0.0, ge=0, le=1)
    """Share of the episodes with distractors of other task types beside the right trajectories (RAFT, arXiv 2403.10131)."""
    rename_share: float = Field(0.0, ge=0, le=1)
    """Share of the episodes whose action verbs are renamed, in the memory alike, each in its own words: only who reads them there
    knows them (API drift). Episodes for which an empty or mismatched memory, or k = 0, is drawn keep their words."""
    rename_names: bool = False
    """Rename there the words too that stand before a number, such as things and places."""
    exchange_share: float = Field(0.0, ge=0, le=1)
    """Share of the episodes in which such words take one another's places, in the memory alike: an apple may be called mug. Drawn
    apart from `rename_share`."""
    exchange_verbs_share: float = Field(0.0, ge=0, le=1)
    """Share of those with exchanged names in which verbs of actions of one form do so too: "heat" may be said where "clean" is
    meant. Never with names as they are: such a row would teach what is done elsewhere. Where verbs are renamed, they stay so."""
    failures: Failures = "memory"
    """Episodes that missed the goal: memory (only recalled), drop (not even that), mask (rows without loss on their invalid and
    repeated actions), label (rows whose system message says that the run failed; NAT, arXiv 2402.11651)."""
    mask_invalid: bool = False
    """No loss on actions that the environment did not understand."""
    mask_repeats: bool = False
    """No loss on an action done before in this episode when the same was observed."""
    per_turn: bool = False
    """One row per turn instead of one per memory block: for chat templates that rewrite earlier turns."""
    system: Literal["auto", "fold", "native"] = "auto"
    """How a tokenizer's chat template gets the system message (task and memory): as it is (native), at the beginning of the
    first user message (fold), or the first of the two that it does not drop or refuse (auto)."""
    chat_template_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields for the chat template, such as {"enable_thinking": false}; the adapter is served with the same."""
    max_tokens: int | None = Field(None, ge=1)
    """Limit of a row, in tokens: its memory is shortened, else the row is dropped; never cut."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.empty_share + self.mismatched_share + self.distractor_share > 1:
            raise ValueError("empty_share, mismatched_share and distractor_share are shares of one whole: their sum is at most 1")
        if any(k < 0 for k in self.k_choices):
            raise ValueError("k_choices are numbers of trajectories, 0 or more")
        if self.exchange_verbs_share and not self.exchange_share:
            raise ValueError("exchange_verbs_share is a share of the episodes with exchanged names: set exchange_share too")
        if self.rename_names and not self.rename_share:
            raise ValueError("rename_names is for the episodes whose verbs are renamed: set rename_share too")
        return self

    @property
    def largest_k(self) -> int:
        return max(self.k_choices, default=self.agent.k)

    @property
    def asks_bank(self) -> bool:
        """Whether rows hold anything of a bank: trajectories, documents or hints."""
        return self.largest_k > 0 or self.agent.document_k > 0 or self.agent.hint_k > 0

    def check_bank(self, bank: object | None) -> None:
        """Raises ConfigError where memory is asked for and there is no bank to ask."""
        if bank is None and self.agent.hint_k > 0:
            raise ConfigError(f"hint_k is {self.agent.hint_k}, but there is no bank to find hints in.", cure="Name a bank.")
        if bank is None and self.largest_k > 0:
            raise ConfigError(f"k is {self.largest_k}, but there is no bank to recall from.", cure="Name a bank, or set k to 0.")
