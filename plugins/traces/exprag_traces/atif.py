"""ATIF, the Agent Trajectory Interchange Format of Harbor (RFC 0001), versions 1.0 to 1.8: read and written.

A step of an agent is a Step: its tool calls with their results, `reasoning_content` as the thought, `message` as the action, or
as the message beside calls. What was retrieved stands in a step of the system, as observation results with `retrieval_score` and
`source_doc_id` in their `extra`. What ATIF has no place for travels in `extra.exprag`, so our own records come back exactly; what
our record has no place for is kept in `provenance.extra["atif"]`, so a foreign document comes back but for `losses`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from exprag.contracts.trace_format import Place, TraceFormat
from exprag.errors import RecordError
from exprag.traces import exact
from exprag.traces.patch import difference, patched
from exprag.trajectory import Trajectory
from exprag_traces.atif_read import read_document
from exprag_traces.atif_write import document

KEPT = "atif"
LARGEST_KEPT = 2**18
"""Characters of JSON, at most, that a foreign document may leave in provenance beside what the record holds."""
_BULKY = ("prompt_token_ids", "completion_token_ids", "logprobs")


class Atif(TraceFormat):
    """One document a row; documents of subagents that it embeds are trajectories of their own."""

    losses = (
        "token ids and log probabilities of steps",
        f"what has no place in our record, where it is longer than {LARGEST_KEPT:,} characters of JSON",
        "of a document that was changed in the bank: what has no place in our record",
    )

    def recognise(self, row: Any) -> bool:
        version = row.get("schema_version") if isinstance(row, dict) else None
        return isinstance(version, str) and version.upper().startswith("ATIF")

    def parts(self, row: Any) -> Iterator[tuple[str, Any]]:
        yield "", row
        inner = row.get("subagent_trajectories") if isinstance(row, dict) else None
        for number, part in enumerate(inner if isinstance(inner, list) else (), 1):
            yield f"subagent {number}", part

    def read(self, row: Any, place: Place) -> Trajectory:
        if not isinstance(row, dict) or not isinstance(row.get("steps"), list):
            raise RecordError("There is no list 'steps' of an ATIF document.")
        extra = row.get("extra")
        if isinstance(extra, dict) and exact.FIELD in extra:
            return exact.restore(extra[exact.FIELD], lambda: read_document(_without_ours(row), Place()))
        slim, bulky = _without_bulk(row)
        trajectory = read_document(slim, place, ["token ids and log probabilities"] if bulky else [])
        rest = difference(slim, document(trajectory))
        origin = trajectory.provenance
        if rest is not None:
            lost = [*origin.extra.get("left_out", ()), "what ATIF says beyond our record, which is too long"]  # type: ignore[misc]
            addition = {KEPT: rest} if len(json.dumps(rest)) <= LARGEST_KEPT else {"left_out": lost}
            origin = origin.model_copy(update={"extra": {**origin.extra, **addition}})
        return Trajectory.from_dict({**trajectory.to_dict(), "provenance": origin.to_dict()})

    def write(self, trajectory: Trajectory) -> Any:
        rest = trajectory.provenance.extra.get(KEPT)
        plain = document(trajectory)
        if rest is not None:
            try:
                whole = patched(plain, rest)
            except (ValueError, AttributeError, TypeError):  # the trajectory was changed since: it is written as ours
                whole = None
            if isinstance(whole, dict) and _same(trajectory, whole):
                return whole
        change = exact.addition(trajectory, plain, read_document)
        return plain if change is None else {**plain, "extra": {**plain.get("extra", {}), exact.FIELD: change}}


def _same(trajectory: Trajectory, row: dict[str, Any]) -> bool:
    """Whether the document says what the trajectory says: its steps, its end and its outcome."""
    try:
        reread = read_document(row, Place())
    except RecordError:
        return False
    names = ("steps", "final_observation", "success", "score", "ended")
    return all(getattr(reread, name) == getattr(trajectory, name) for name in names)


def _without_ours(row: dict[str, Any]) -> dict[str, Any]:
    extra = {name: value for name, value in row["extra"].items() if name != exact.FIELD}
    rest = {name: value for name, value in row.items() if name != "extra"}
    return {**rest, "extra": extra} if extra else rest


def _without_bulk(row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The document without token ids and log probabilities, and whether there were any."""
    steps, bulky = [], False
    for step in row["steps"]:
        metrics = step.get("metrics") if isinstance(step, dict) else None
        if isinstance(metrics, dict) and any(metrics.get(name) is not None for name in _BULKY):
            bulky = True
            step = {**step, "metrics": {name: value for name, value in metrics.items() if name not in _BULKY}}
        steps.append(step)
    return ({**row, "steps": steps}, True) if bulky else (row, False)
