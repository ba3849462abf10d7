"""A graph of the user's own by name: "path/to/file.py:attribute" or "package.module:attribute"."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel

from exprag.errors import ConfigError, ExpragError


def load_graph(spec: str, environment: str = "", settings: Mapping[str, Any] | None = None) -> Pregel[Any, Any, Any, Any]:
    """The compiled graph of that name; a StateGraph is compiled, a function is called with what it takes: `environment`, and
    `settings`, which say what is wanted other than the graph's own choice (model, bank, environment_options, config).

    Raises ConfigError where there is no such graph, or where a setting would have no effect.
    """
    settings = dict(settings or {})
    where, colon, name = spec.rpartition(":")
    if not colon or not where or not name:
        raise ConfigError(f"A graph is named path/to/file.py:attribute or package.module:attribute; not {spec!r}.")
    module = _module(where)
    found = getattr(module, name, None)
    if found is None:
        known = [key for key, value in vars(module).items() if isinstance(value, Pregel | StateGraph)]
        raise ConfigError(f"There is no {name!r} in {where}.", cure=f"Graphs in it: {', '.join(known) or 'none'}.")
    takes: set[str] = set()
    if not isinstance(found, Pregel | StateGraph) and callable(found):
        parameters = inspect.signature(found).parameters.values()
        takes = {parameter.name for parameter in parameters}
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            takes |= {"environment", *settings} - {"config"}
        offered = {"environment": environment, **settings}
        found = found(**{key: value for key, value in offered.items() if key in takes and value})
    ignored = [key for key in settings if key not in takes]
    if ignored:
        raise ConfigError(
            f"{', '.join(ignored)} would have no effect on the graph {spec}.",
            cure=f"Name a function that takes {', '.join(ignored)} and makes the graph, or leave it to the graph.",
        )
    if isinstance(found, StateGraph):
        found = found.compile()
    if not isinstance(found, Pregel):
        raise ConfigError(f"{spec} is a {type(found).__name__}, not a graph.", cure="Name a compiled graph, or a function.")
    return found


def _module(where: str) -> ModuleType:
    if not where.endswith(".py"):
        try:
            return importlib.import_module(where)
        except ImportError as error:
            raise ConfigError(f"The module {where} cannot be imported: {error}.") from error
    path = Path(where)
    if not path.is_file():
        raise ConfigError(f"There is no file {where}.", cure="Name it from the folder that you are in.")
    name = f"exprag_graph_{path.stem}"
    made = importlib.util.spec_from_file_location(name, path)
    assert made is not None and made.loader is not None  # noqa: PT018 - a file that ends in .py has both
    module = importlib.util.module_from_spec(made)
    sys.modules[name] = module  # classes in it look themselves up there
    try:
        made.loader.exec_module(module)
    except ExpragError:
        raise
    except Exception as error:
        raise ConfigError(f"{where} cannot be loaded: {type(error).__name__}: {error}.") from error
    return module
