"""What is chosen about one distillation, as plain data: the TOML of `exprag distill`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from exprag.config import AgentConfig, Settings
from exprag.models.load import ModelSpec
from exprag.runs.config import RunConfig
from exprag.trusted_code import ModelName, Options, PluginName


class DistillConfig(Settings):
    """One distillation. `run` is the base agent and where its tasks come from; the rest is about hints and the student."""

    sections: ClassVar[dict[str, str]] = {"run": "Distillation"}

    run: RunConfig
    """The base agent and its environment, as of `exprag run`; its bank, if it has one, is copied and gets the hints."""
    extract: int = Field(1200, ge=1)
    """Tasks of stages A and C, the first of the run's (the paper: 1,200)."""
    held_out: int = Field(100, ge=0)
    """Tasks after those on which the arms are compared; none is of a group that hints were drawn from. 0: no comparison."""
    distiller: PluginName = "feedback"
    """What writes hints from failures (exprag plugins lists them)."""
    distiller_options: Options = Field(default_factory=dict)
    """Options of the distiller, NAME=VALUE."""
    expert: str | None = None
    """The expert that plays failed tasks, for a distiller that needs it; default: the environment's first."""
    expert_successes: bool = False
    """Whether what the expert won on the same tasks counts as successes to write from, for a distiller that reads those."""
    threshold: float | None = Field(None, ge=-1, le=1)
    """Score from which an episode may be learnt from (WebShop in the paper: 0.67); default: where it succeeded."""
    max_invalid: int = Field(2, ge=0)
    """Episodes with more invalid actions than this are not learnt from."""
    max_repeats: int = Field(2, ge=0)
    """Likewise, actions repeated where they had changed nothing before."""
    filter_failures: bool = False
    """Whether these two limits hold for the failures too that hints are drawn from."""
    k: int = Field(3, ge=1)
    """Hints that the teacher reads."""
    ablation: tuple[int, ...] = ()
    """Other numbers of hints that are compared on the held-out tasks."""
    hint_rank: Literal["lexical", "embedding", "model"] = "lexical"
    """How the hints of a type are ranked."""
    hint_model: ModelName = ""
    """Chat model that ranks them, where hint_rank is model."""
    student_memory: bool = False
    """Whether the student keeps the base agent's memory of trajectories; else it learns to do without that too."""
    train: bool = False
    """Whether students are trained and played: distilled, and the control on the successes of stage A."""
    base_model: str = ""
    """Folder or id of the model to train; default: the run's own, where that is hf:NAME."""
    recipe: str = "hint-distill"
    """The recipe of both trainings."""
    recipe_options: dict[str, Any] = Field(default_factory=dict)
    """Fields of the recipe that are changed."""
    student_options: Options = Field(default_factory=dict)
    """Options of the students as chat models (max_new_tokens), NAME=VALUE; default: those of the run's model, if it is hf:."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.run.policy != "agent" or self.run.graph:
            raise ValueError("run is an agent's, not an expert's and not a graph's")
        if self.run.shard:
            raise ValueError("a distillation is not played in shards")
        if any(k < 1 for k in self.ablation):
            raise ValueError("ablation holds numbers of hints, 1 or more")
        if self.hint_rank == "model" and not self.hint_model:
            raise ValueError("hint_rank is model: name a hint_model")
        if self.train and not self.trained_model:
            raise ValueError("train needs a base_model, or a run whose model is hf:NAME")
        return self

    @property
    def trained_model(self) -> str:
        """The model that students are trained from; "" where none can be."""
        return self.base_model or ModelSpec.parse(self.run.model).base

    def student_spec(self, adapter: str) -> str:
        """The spec of a trained adapter as a chat model."""
        return ModelSpec.parse(self.run.model).of_adapter(adapter, self.student_options)

    def agent(self, hints: int = 0) -> AgentConfig:
        """The base agent, reading this many hints."""
        fields: dict[str, Any] = {"hint_k": hints}
        if hints:
            fields |= {"hint_rank": self.hint_rank, "hint_model": self.hint_model or None}
        if self.run.bank is None:
            fields |= {"k": 0, "document_k": 0}
        return self.run.agent.changed(**fields)

    def student(self) -> AgentConfig:
        """The agent that a student is trained and served as: no hints, no worked examples, and no memory unless it keeps it."""
        agent = self.agent().changed(examples="")
        return agent if self.student_memory else agent.changed(k=0, document_k=0)
