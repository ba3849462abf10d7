"""A plugin package from its templates, whole or not at all.

Templates are text files with `$name` places (`string.Template`): those that all kinds share, and a folder for each kind. Names
follow the table in docs/plugins.md.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from exprag import __version__, authoring
from exprag.components import COMMANDS
from exprag.errors import ConfigError, closest
from exprag.plugins import KINDS, registry

NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
TEMPLATES = files("exprag.scaffold") / "templates"


@dataclass(frozen=True)
class Kind:
    """What differs between kinds, beside their templates: the module's name, the kit, what `exprag plugins` says of it."""

    module: str
    kit: str
    description: str
    dev: str = ""


ABOUT = {
    "environment": Kind("environment", "EnvironmentConformance", "find a number between 1 and 8", ', "gymnasium>=1.0"'),
    "query_strategy": Kind("strategy", "QueryStrategyConformance", "static: the type of the task and its instruction"),
    "selector": Kind("selector", "SelectorConformance", "the shortest of the near successes"),
    "formatter": Kind("formatter", "FormatterConformance", "one JSON list a line", ', "hypothesis>=6.100"'),
    "style": Kind("style", "StyleConformance", "the action after a mark, on a line of its own", ', "hypothesis>=6.100"'),
    "distiller": Kind("distiller", "DistillerConformance", "what a failed run did last"),
    "trace_format": Kind("reader", "TraceFormatConformance", "games as lists of moves", ', "hypothesis>=6.100"'),
    "model": Kind("model", "ModelConformance", "plays the forms of action that have no gap, in turn"),
}


def new_plugin(name: str, kind: str, out: str | Path | None = None) -> Path:
    """Write a plugin package of `kind` (see `exprag.plugins.KINDS`; dashes will do) to the new folder `out`, by default
    `exprag-NAME` here; returns it. Raises ConfigError for a name or folder that cannot be used; then nothing is written.
    """
    kind_id = kind.replace("-", "_")
    if kind_id not in ABOUT:
        raise ConfigError(f"There is no kind of plugin {kind!r}.", cure=closest(kind, [k.replace("_", "-") for k in KINDS]))
    values = _values(_checked(re.sub("^exprag[-_]", "", name), kind_id), kind_id)
    target = Path(out) if out is not None else Path(values["distribution"])
    if target.exists() or target.is_symlink():
        raise ConfigError(f"{target} is there already.", cure="Name a new folder with --out, or remove it.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".exprag-new-") as beside:
            whole = Path(beside) / "package"
            for path, text in _written(values, kind_id).items():
                (whole / path).parent.mkdir(parents=True, exist_ok=True)
                (whole / path).write_text(text, encoding="utf-8")
            whole.rename(target)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}.", cure="Name another folder with --out.") from error
    return target


def _checked(name: str, kind: str) -> str:
    """The name, if a package may have it."""
    if not NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        cure = f"Try {near!r}." if NAME.fullmatch(near) else ""
        raise ConfigError(f"{name!r} is not a name for a plugin: lower-case letters, digits and single dashes.", cure=cure)
    id = name.replace("-", "_")
    class_name = _class_name(name, kind)
    if class_name in authoring.__all__:
        raise ConfigError(f"{name!r} would make a class {class_name}, which is exprag's own.", cure="Choose another name.")
    if importlib.util.find_spec(f"exprag_{id}"):
        raise ConfigError(f"The import package exprag_{id} is installed already.", cure="Choose another name.")
    owners = {c.distribution for c in registry().components if c.kind == kind and c.name == id}
    if owners:
        raise ConfigError(
            f"There is a {kind.replace('_', ' ')} {id!r} already, of {', '.join(sorted(owners))}.",
            cure="Choose another name: users would have to write distribution/name.",
        )
    return name


def _class_name(name: str, kind: str) -> str:
    return "".join(word.capitalize() for word in re.split("[_-]", name)) + ABOUT[kind].module.capitalize()


def _values(name: str, kind: str) -> dict[str, str]:
    """What stands at the templates' places."""
    about = ABOUT[kind]
    spoken = kind.replace("_", " ")
    id = name.replace("-", "_")
    words = " ".join(word.capitalize() for word in id.split("_"))
    a_kind = f"{'an' if spoken[0] in 'aeiou' else 'a'} {spoken}"
    values = {
        "id": id,
        "words": words,
        "distribution": f"exprag-{id.replace('_', '-')}",
        "package": f"exprag_{id}",
        "class_name": _class_name(name, kind),
        "hook": KINDS[kind],
        "a_kind": a_kind,
        "module": about.module,
        "kit": about.kit,
        "command": COMMANDS[kind],
        "description": about.description,
        "dev": about.dev,
        "exprag": ".".join(__version__.split(".")[:2]),
    }
    return {**values, "usage": _template(f"{kind}/usage.md", values)}


def _written(values: dict[str, str], kind: str) -> dict[str, str]:
    """The package's files by path."""
    package = values["package"]
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "LICENSE": "LICENSE",
        ".gitignore": "gitignore",
        f"{package}/__init__.py": "hook.py",
        f"{package}/{values['module']}.py": f"{kind}/module.py",
        f"tests/test_{values['id']}.py": "test.py",
    }
    return {path: _template(template, values) for path, template in places.items()}


def _template(name: str, values: dict[str, str]) -> str:
    return Template((TEMPLATES / f"{name}.tmpl").read_text(encoding="utf-8")).substitute(values)
