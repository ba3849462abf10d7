"""How many episodes a process plays at once, and how many processes play: what the user says, else what suits the model."""

from __future__ import annotations

from exprag.errors import ConfigError
from exprag.models.load import ModelSpec
from exprag.plugins import registry
from exprag.runs.config import RunConfig


def episodes_at_once(config: RunConfig) -> int:
    """The episodes that one process plays side by side, all with one model; 1: each worker plays one, with a model of its own.

    Where the configuration does not say, it is what the model's factory says in an attribute `concurrency`
    (`exprag.contracts.model`), else 1. Raises ConfigError where episodes cannot be played side by side.
    """
    alone = _alone(config)
    if config.concurrency is not None:
        if config.concurrency > 1 and alone:
            raise ConfigError(f"concurrency={config.concurrency}: {alone}.", cure="Leave concurrency out, or set it to 1.")
        return config.concurrency
    if alone:
        return 1
    return _suiting(config)


def divided(config: RunConfig) -> tuple[int, RunConfig]:
    """How many processes play, and the configuration of each, for one whose concurrency is settled.

    Side by side, each worker plays that many episodes with its own client of the model and its own process of environments. A
    model whose factory asks for a concurrency above 1, as that of local weights does, is held by one process: the workers are
    processes of environments beside it.
    """
    if (config.concurrency or 1) == 1:
        return config.workers, config
    if _suiting(config) > 1:
        return 1, config
    return config.workers, config.model_copy(update={"workers": 1})


def _suiting(config: RunConfig) -> int:
    """The episodes for which a process should hold this model once."""
    component = registry().get_or_none("model", ModelSpec.parse(config.model).kind)
    if component is None or component.problem():  # told when the model is made
        return 1
    return int(getattr(component.load(), "concurrency", 1))


def _alone(config: RunConfig) -> str:
    """Why the episodes cannot be played side by side in one process; "" where they can."""
    if config.workers == 0:
        return "with workers=0 the episodes are played one after another"
    if config.policy == "expert":
        return "an environment's expert plays in the process of its environment: workers says how many"
    if config.graph is not None:
        return "a graph of your own makes its environments itself, and they may not bear several threads"
    return ""
