"""What training rows are made from and how: an arm, and what is chosen about the data, as plain data."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from exprag.config import Arm
from exprag.errors import ConfigError

Failures = Literal["memory", "drop", "mask", "label"]


class DataConfig(Arm):
    """An arm, and how rows are made for it. What is served with the same arm sees prompts of the same form.

    bank, bank_version      where memory comes from, pinned; None: rows without memory (k = 0)
    types, splits, limit    which of the given trajectories become rows; default: all
    environment_options     for the plugin that brings the action templates
    other_versions          also take trajectories of another version of their environment; they are counted
    k_choices               K is drawn for each episode from these, instead of `k`
    empty_share             episodes that are shown no memory: a guard against the collapse with an empty index
    mismatched_share        episodes whose memory is of other task types only
    distractor_share        episodes in whose memory trajectories of other task types stand beside the right ones (RAFT, Zhang
                            et al., arXiv 2403.10131), in mixed order
    failures                what becomes of episodes that missed the goal:
                              memory  no rows; they may be recalled, as the arm has it: a contrast to the successes
                              drop    no rows, and never recalled: memory is of successes only
                              mask    rows too, but no loss on their invalid and their repeated actions
                              label   rows too, whose system message says that the run failed; successes and what is served
                                      carry no such line (NAT, Wang et al., arXiv 2402.11651)
    mask_invalid            no loss on actions that the environment did not understand
    mask_repeats            no loss on an action done before in this episode when the same was observed
    per_turn                one row per turn instead of one per memory block: for chat templates that rewrite earlier turns
    max_tokens              limit of a row, in tokens: its memory is shortened, else the row is dropped; never cut
    """

    bank: str | None = None
    bank_version: int | None = None
    types: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    limit: int | None = Field(None, ge=1)
    environment_options: dict[str, JsonValue] = Field(default_factory=dict)
    other_versions: bool = False
    seed: int = 2025
    k_choices: tuple[int, ...] = ()
    empty_share: float = Field(0.0, ge=0, le=1)
    mismatched_share: float = Field(0.0, ge=0, le=1)
    distractor_share: float = Field(0.0, ge=0, le=1)
    failures: Failures = "memory"
    mask_invalid: bool = False
    mask_repeats: bool = False
    per_turn: bool = False
    max_tokens: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.empty_share + self.mismatched_share + self.distractor_share > 1:
            raise ValueError("empty_share, mismatched_share and distractor_share are shares of one whole: their sum is at most 1")
        if any(k < 0 for k in self.k_choices):
            raise ValueError("k_choices are numbers of trajectories, 0 or more")
        return self

    @property
    def largest_k(self) -> int:
        return max(self.k_choices, default=self.k)

    def check_bank(self, bank: object | None) -> None:
        """Raises ConfigError where memory is asked for and there is no bank to ask."""
        if bank is None and self.largest_k > 0:
            raise ConfigError(f"k is {self.largest_k}, but there is no bank to recall from.", cure="Name a bank, or set k to 0.")
