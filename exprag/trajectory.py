"""Task, Step, Trajectory: the one record that everything exchanges.

Environments make tasks, the graph makes trajectories, the bank stores them, formatters write them for a model and
training reads them. Records are frozen, validated, versioned, and round-trip through JSON without loss.
"""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from exprag.errors import RecordError, first_fault
from exprag.text import pair_surrogates

SCHEMA_VERSION = 1


def _writable(value: Any) -> Any:
    """Data as JSON can write them: halves of a character paired. Raises ValueError for a number that is not finite."""
    if isinstance(value, str):
        return pair_surrogates(value)
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    if isinstance(value, dict):
        return {pair_surrogates(key) if isinstance(key, str) else key: _writable(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("JSON has no number that is not finite")
    return value


def _not_empty(text: str) -> str:
    # Not Field(min_length=1): pydantic counts characters as UTF-8, which a lone surrogate is not.
    if not text:
        raise ValueError("it must not be empty")
    return text


Text = Annotated[str, AfterValidator(pair_surrogates)]
Name = Annotated[str, AfterValidator(pair_surrogates), AfterValidator(_not_empty)]
Number = Annotated[float, Field(allow_inf_nan=False)]
JsonDict = Annotated[dict[str, JsonValue], BeforeValidator(_writable)]


class Record(BaseModel):
    """A frozen, JSON-able record. Unknown fields are refused: a typing error must not lose data silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

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
            more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
            raise RecordError(f"Not a valid {cls.__name__}: {first_fault(error)}{more}.") from error
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
    """One problem of an environment."""

    environment: Name
    """Name of the environment."""
    id: Name
    """Unique within the environment."""
    split: Text = ""
    """The environment's split that it belongs to."""
    type: Text = ""
    """Type of task: what reports, index states and quotas group by."""
    instruction: Text = ""
    """What is to be done, in words; an environment may leave it out until `reset`."""
    group: Text = ""
    """Names tasks so alike that one gives the other away (the same ALFWorld task with other object positions): exclusion covers
    the whole group."""
    metadata: JsonDict = Field(default_factory=dict)
    """The environment's own data (game file, variation, scene …), JSON; may serve wider exclusions."""

    @property
    def key(self) -> str:
        """Unique over all environments."""
        return f"{self.environment}:{self.id}"


OUTCOMES: dict[bool | None, str] = {True: "success", False: "failure", None: "unknown"}
"""The words for `Trajectory.success`."""


class Recalled(Record):
    """One trajectory that was in the model's context: which, how near, and why it was there."""

    id: Name
    """Id of the trajectory."""
    score: Number
    """How near it was to the query; higher is nearer, on the scale of the search."""
    reason: Text = ""
    """Why the selector kept it, for people."""
    step: int | None = None
    """The step that matched, counted from 0, where a window round it was recalled; None: the whole trajectory."""


class Usage(Record):
    """Tokens of one model call, in the model's own tokens where it reports them."""

    prompt: int = Field(0, ge=0)
    """Tokens that the model read."""
    completion: int = Field(0, ge=0)
    """Tokens that it wrote, reasoning included."""
    cached: int | None = Field(None, ge=0)
    """Those tokens of `prompt` that came from the provider's cache; None where it does not say."""
    cost: Number | None = None
    """What the call cost, in US dollars; None where nobody says."""


class ToolCall(Record):
    """One tool call of a turn, and its result."""

    id: Text = ""
    """What the result is matched by; "" where there was none."""
    name: Name
    """Name of the tool."""
    arguments: JsonDict | Text = Field(default_factory=dict)
    """Its arguments by name; text where the model wrote no JSON object."""
    result: Text | None = None
    """What the tool answered; None: it was never answered."""


class Step(Record):
    """What was observed, what was then done, and what it earned."""

    observation: Text
    """What was observed before the action."""
    action: Text
    """What was done; "" where the turn held no action."""
    thought: Text | None = None
    """What was thought before it, where that is known."""
    reward: Number = 0.0
    """What this action earned, on the environment's own scale."""
    valid: bool | None = None
    """False where the environment did not understand the action; None where it does not say."""
    response: Text | None = None
    """The model's whole turn, where it is more than the action."""
    message: Text | None = None
    """What was said beside the tool calls, to people; None where the turn is all action."""
    calls: tuple[ToolCall, ...] = ()
    """The tool calls that the action consists of, in order; none where the action is text."""
    note: Text | None = None
    """What had to be repaired in the turn; several notes are separated by "; "."""
    recalled: tuple[Recalled, ...] = ()
    """What of the bank was in the model's context at this step."""
    query: Text | None = None
    """The text that the bank was asked for at this step, its middle left out where it is long; None where the bank was not asked,
    or for the same text as before."""
    usage: Usage | None = None
    """Tokens of the model's call, where the model says."""


class EpisodeError(Record):
    """Why an episode broke off."""

    boundary: Name
    """Where it broke: environment, model, plugin … (see `exprag.errors`)."""
    message: Text
    """What the user is shown, with the cure."""


class Provenance(Record):
    """Where a trajectory comes from."""

    run: Text = ""
    """Name of the run."""
    model: Text = ""
    """Who acted: a model's spec without credentials, or "expert:NAME"."""
    created: Text = ""
    """When the episode ended: UTC, ISO 8601."""
    seconds: Number | None = None
    """Wall time of the episode."""
    seed: int | None = None
    """The seed that the environment was reset with."""
    bank_version: int | None = None
    """Version of the bank that was searched; None: there was none."""
    extra: JsonDict = Field(default_factory=dict)
    """Anything else worth keeping, JSON."""


Source = Literal["expert", "agent", "human"]
Ending = Literal["terminated", "truncated", "gave_up", "error"]


class Trajectory(Record):
    """A whole episode with its outcome: the unit of experience (ExpRAG, section 3)."""

    schema_version: int = SCHEMA_VERSION
    """Version of this record; older ones are read."""
    id: Text = ""
    """Made from what happened, where it is not given: the same episode of the same run has the same id."""
    task: Task
    """What was to be done."""
    steps: tuple[Step, ...] = ()
    """What was observed and done, in order; may be empty."""
    final_observation: Text = ""
    """What the last action led to."""
    success: bool | None = None
    """Whether the goal was reached; None: unknown."""
    score: Number | None = None
    """The environment's own score at the end, scaled to [-1, 1]; None: unknown."""
    ended: Ending = "terminated"
    """Who ended it: the environment (terminated), a step limit (truncated), the policy, which had no further action (gave_up), or
    an error."""
    source: Source = "agent"
    """Who acted: expert, agent or human."""
    fingerprint: Text = ""
    """The environment's fingerprint: stored actions are understood where it is the same."""
    provenance: Provenance = Field(default_factory=Provenance)
    """Where it comes from."""
    error: EpisodeError | None = None
    """Why it broke off, where `ended` is error."""

    def model_post_init(self, context: Any) -> None:
        if not self.id:
            object.__setattr__(self, "id", self._content_id())

    def _content_id(self) -> str:
        """The same episode of the same run has the same id, so adding it twice is adding it once."""
        content: list[Any] = [self.task.key, self.source, self.provenance.run, self.provenance.model, self.success, self.score]
        content += [[step.observation, step.action] for step in self.steps] + [self.final_observation]
        return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()[:24]

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
