"""The gate of a bank that learns: which finished episodes may enter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from exprag.errors import ConfigError, boundary
from exprag.trajectory import Trajectory

Rule = Callable[[Trajectory], object]


def refusal(
    episode: Trajectory,
    learn: Literal["success", "all"] = "success",
    rule: Rule | None = None,
    *,
    rule_name: str = "",
    unknown: bool = False,
) -> str:
    """Why an episode may not enter; "" where it may. Errors never do; failures only with learn="all", and episodes whose outcome
    is not known also with `unknown`; the rule must agree as well. Raises ConfigError where the rule raises."""
    if episode.error is not None or episode.ended == "error":
        return "it ended in an error"
    if learn == "success" and not episode.success and not (unknown and episode.success is None):
        return "it did not succeed"
    if rule is None:
        return ""
    name = rule_name or getattr(rule, "__name__", type(rule).__name__)
    with boundary(ConfigError, f"The rule {name!r} raised"):
        passed = bool(rule(episode))
    return "" if passed else f"the rule {name} refused it"
