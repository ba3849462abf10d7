"""Task, Step, Trajectory: the one record that everything exchanges.

Environments make tasks, the graph makes trajectories, the bank stores them, formatters write them for a model and
training reads them. Records are frozen, validated, versioned, and round-trip through JSON without loss.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from exprag.errors import RecordError
from exprag.text import pair_surrogates

SCHEMA_VERSION = 1


def _pair_in_json(value: Any) -> Any:
    if isinstance(value, str):
        return pair_surrogates(value)
    if isinstance(value, list | tuple):
        return [_pair_in_json(item) for item in value]
    if isinstance(value, dict):
        return {pair_surrogates(key) if isinstance(key, str) else key: _pair_in_json(v) for key, v in value.items()}
    return value


def _not_empty(text: str) -> str:
    # Not Field(min_length=1): pydantic counts characters as UTF-8, which a lone surrogate is not.
    if not text:
        raise ValueError("it must not be empty")
    return text


Text = Annotated[str, AfterValidator(pair_surrogates)]
Name = Annotated[str, AfterValidator(pair_surrogates), AfterValidator(_not_empty)]
Number = Annotated[float, Field(allow_inf_nan=False)]
JsonDict = Annotated[dict[str, JsonValue], BeforeValidator(_pair_in_json)]


class Record(BaseModel):
    """A frozen, JSON-able record. Unknown fields are refused: a typing error must not lose data silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, ready for a graph state or a file."""
        return self.model_dump(mode="python")

    def to_json(self) -> str:
        """One line of ASCII JSON: lone surrogates survive as escapes."""
        try:
            return json.dumps(self.to_dict(), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        except ValueError as error:
            raise RecordError(f"{type(self).__name__} holds a number that JSON cannot write: {error}.") from error

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Validate plain data. Raises RecordError naming the field and what was expected."""
        if isinstance(data, cls):
            return data
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the record"
            more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
            raise RecordError(f"Not a valid {cls.__name__}: {where}: {first['msg']}{more}.") from error
        except RecursionError as error:
            raise RecordError(f"Not a valid {cls.__name__}: its data are nested too deeply.") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"Not a {cls.__name__}: the text is not JSON ({error}).") from error
        return cls.from_dict(data)


class Task(Record):
    """One problem of an environment.

    `id` is unique within `environment`. `group` names problems so alike that one gives the other away (the same ALFWorld
    task with other object positions); exclusion covers the group. `metadata` is the environment's own (game file,
    variation, scene …) and may serve wider exclusions.
    """

    environment: Name
    id: Name
    split: Text = ""
    type: Text = ""
    instruction: Text = ""
    group: Text = ""
    metadata: JsonDict = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """Unique over all environments."""
        return f"{self.environment}:{self.id}"


class Recalled(Record):
    """One trajectory that was in the model's context: which, how near, and why it was kept; `step` where it was a window
    round that step."""

    id: Name
    score: Number
    reason: Text = ""
    step: int | None = None


class Usage(Record):
    """Tokens of one model call, in the model's own tokens where it reports them."""

    prompt: int = Field(0, ge=0)
    completion: int = Field(0, ge=0)


class Step(Record):
    """What was observed, what was then done, and what it earned.

    `response` is the model's whole turn where it is more than the action; `note` says what had to be repaired in it.
    `valid` is False where the environment did not understand the action, None where it does not say. `recalled` lists
    what was in context at this step. `query` is the text that the bank was asked for at this step, its middle left out where
    it is long; None where the bank was not asked, or for the same text as before.
    """

    observation: Text
    action: Text
    thought: Text | None = None
    reward: Number = 0.0
    valid: bool | None = None
    response: Text | None = None
    note: Text | None = None
    recalled: tuple[Recalled, ...] = ()
    query: Text | None = None
    usage: Usage | None = None


class EpisodeError(Record):
    """Why an episode broke off: the boundary (see `exprag.errors`) and the message shown to the user."""

    boundary: Name
    message: Text


class Provenance(Record):
    """Where a trajectory comes from. `created` is UTC, ISO 8601; `seconds` is the wall time of the episode."""

    run: Text = ""
    model: Text = ""
    created: Text = ""
    seconds: Number | None = None
    seed: int | None = None
    bank_version: int | None = None
    extra: JsonDict = Field(default_factory=dict)


Source = Literal["expert", "agent", "human"]
Ending = Literal["terminated", "truncated", "gave_up", "error"]


class Trajectory(Record):
    """A whole episode with its outcome: the unit of experience (ExpRAG, section 3).

    `final_observation` is what the last action led to. `score` is the environment's own, scaled to [-1, 1]; `success` is
    whether the goal was reached. `ended`: the environment said so (terminated), the step limit (truncated), the policy had
    no further action (gave_up), or `error`.
    """

    schema_version: int = SCHEMA_VERSION
    id: Text = ""
    task: Task
    steps: tuple[Step, ...] = ()
    final_observation: Text = ""
    success: bool | None = None
    score: Number | None = None
    ended: Ending = "terminated"
    source: Source = "agent"
    fingerprint: Text = ""
    provenance: Provenance = Field(default_factory=Provenance)
    error: EpisodeError | None = None

    def model_post_init(self, context: Any) -> None:
        if not self.id:
            object.__setattr__(self, "id", self._content_id())

    def _content_id(self) -> str:
        """The same episode of the same run has the same id, so adding it twice is adding it once."""
        told: list[Any] = [self.task.key, self.source, self.provenance.run, self.provenance.model, self.success, self.score]
        told += [[step.observation, step.action] for step in self.steps] + [self.final_observation]
        return hashlib.sha256(json.dumps(told, ensure_ascii=True).encode()).hexdigest()[:24]

    @property
    def actions(self) -> list[str]:
        return [step.action for step in self.steps]

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        version = data.get("schema_version", SCHEMA_VERSION) if isinstance(data, dict) else SCHEMA_VERSION
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise RecordError(
                f"The trajectory has schema version {version}; this exprag reads up to {SCHEMA_VERSION}.",
                cure="Upgrade exprag: pip install --upgrade exprag",
            )
        return super().from_dict(data)


def now() -> str:
    """The present moment as provenance writes it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
