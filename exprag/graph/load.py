"""A graph of the user's own by name: "path/to/file.py:attribute" or "package.module:attribute".

Loading it runs its code: a name that comes in a file is refused before it gets here (`exprag.trusted_code`).
"""

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

from exprag.errors import ConfigError, boundary


def load_graph(spec: str, environment: str = "", settings: Mapping[str, Any] | None = None) -> Pregel[Any, Any, Any, Any]:
    """The compiled graph of that name; a StateGraph is compiled, a function is called with what it takes: `environment`, and
    `settings`, which differ from the graph's own choice (model, bank, environment_options, config).

    Raises ConfigError where there is no such graph, or where a setting would have no effect.
    """
    settings = dict(settings or {})
    where, _, name = spec.rpartition(":")
    if not where or not name:
        raise ConfigError(f"A graph is named path/to/file.py:attribute or package.module:attribute; not {spec!r}.")
    module = _module(where)
    graph = getattr(module, name, None)
    if graph is None:
        graphs = [key for key, value in vars(module).items() if isinstance(value, Pregel | StateGraph)]
        raise ConfigError(f"There is no {name!r} in {where}.", cure=f"Graphs in it: {', '.join(graphs) or 'none'}.")
    parameters: set[str] = set()
    if not isinstance(graph, Pregel | StateGraph):
        offers = {"environment": environment, **settings}
        parameters = _parameters(spec, graph, offers)
        with boundary(ConfigError, f"The graph {spec} could not be made"):
            graph = graph(**{key: value for key, value in offers.items() if key in parameters and value})
    if ignored := [key for key in settings if key not in parameters]:
        raise ConfigError(
            f"{', '.join(ignored)} would have no effect on the graph {spec}.",
            cure=f"Name a function that takes {', '.join(ignored)} and makes the graph, or leave it to the graph.",
        )
    if isinstance(graph, StateGraph):
        graph = graph.compile()
    if not isinstance(graph, Pregel):
        raise ConfigError(f"{spec} is a {type(graph).__name__}, not a graph.", cure="Name a compiled graph, or a function.")
    return graph


def _parameters(spec: str, function: Any, offers: Mapping[str, Any]) -> set[str]:
    """Which of the offers the function takes. Raises ConfigError, before it is called, where it cannot make a graph."""
    if not inspect.isfunction(function):
        what = f"{spec} is a {type(function).__name__}, not a graph, nor a function that makes one"
        raise ConfigError(f"{what}: it was not called.", cure="Name a compiled graph, or a function.")
    parameters = inspect.signature(function).parameters.values()
    names = {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL}
    optional = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in optional and not offers.get(p.name)]
    if needed:
        raise ConfigError(
            f"{spec} needs {', '.join(needed)}, which a run does not give: it was not called.",
            cure=f"A function that makes a graph takes some of {', '.join(offers)}; give the rest a default.",
        )
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        names |= {*offers} - {"config"}
    return names


def _module(where: str) -> ModuleType:
    if not where.endswith(".py"):
        with boundary(ConfigError, f"The module {where} cannot be imported"):
            return importlib.import_module(where)
    path = Path(where)
    if not path.is_file():
        raise ConfigError(f"There is no file {where}.", cure="Name it from the folder that you are in.")
    name = f"exprag_graph_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # noqa: PT018 - a file that ends in .py has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes in it look themselves up there
    with boundary(ConfigError, f"{where} cannot be loaded"):
        spec.loader.exec_module(module)
    return module
