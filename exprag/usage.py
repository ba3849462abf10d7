"""What a chat model says of the tokens and the cost of a call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from exprag.trajectory import Usage


def usage_of(message: Any) -> tuple[Usage | None, bool]:
    """(tokens of the call and what it cost, whether what the server said is no count)."""
    usage = getattr(message, "usage_metadata", None)
    if not usage:
        return None, bool(_metadata(message).get("broken_usage"))
    try:
        cached = (usage.get("input_token_details") or {}).get("cache_read")
        counts = {"prompt": usage["input_tokens"], "completion": usage["output_tokens"], "cached": cached}
        return Usage(**counts, cost=_cost(message)), False
    except (AttributeError, ValidationError, KeyError, TypeError):
        return None, True


def total(usages: Sequence[Usage]) -> Usage | None:
    """Of several calls together; None of none. What only some of them say is the sum of those."""
    if not usages:
        return None
    cached = [usage.cached for usage in usages if usage.cached is not None]
    costs = [usage.cost for usage in usages if usage.cost is not None]
    return Usage(
        prompt=sum(usage.prompt for usage in usages),
        completion=sum(usage.completion for usage in usages),
        cached=sum(cached) if cached else None,
        cost=sum(costs) if costs else None,
    )


def _cost(message: Any) -> float | None:
    """What the server says that the call cost, in US dollars."""
    about = _metadata(message).get("token_usage")
    cost = about.get("cost") if isinstance(about, Mapping) else None
    return float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) and math.isfinite(cost) else None


def _metadata(message: Any) -> Mapping[str, Any]:
    return getattr(message, "response_metadata", None) or {}
