"""Groups of task types that an environment names ("easy", "hard"): results are told by them, beside the types themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from exprag.trajectory import Task


def groups_of(task: Task) -> tuple[str, ...]:
    """The names of the groups that the task's type belongs to, as its environment's plugin has them; none where it is not
    installed."""
    return tuple(name for name, types in _type_groups(task.environment).items() if task.type in types)


def group_names(tasks: Iterable[Task]) -> list[str]:
    """The groups to which some of the tasks belong, in the order in which the environments name them."""
    tasks = list(tasks)
    there = {name for task in tasks for name in groups_of(task)}
    order = [name for environment in sorted({task.environment for task in tasks}) for name in _type_groups(environment)]
    return [name for name in dict.fromkeys(order) if name in there]


@lru_cache(maxsize=64)
def _type_groups(environment: str) -> Mapping[str, tuple[str, ...]]:
    """What the environment's class says. No environment is made, and nothing is imported that no plugin registered."""
    from exprag.errors import PluginError
    from exprag.isolation import FAULTS
    from exprag.plugins import registry, resolve

    if ":" in environment:
        return {}
    try:
        factory = resolve(registry().get("environment", environment).factory)
    except (PluginError, *FAULTS):  # somebody else's module may raise anything
        return {}
    groups = getattr(factory, "type_groups", {})
    return groups if isinstance(groups, Mapping) else {}
