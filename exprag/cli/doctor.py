"""`exprag doctor`: what works on this machine, what does not, and the command that fixes it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from rich.text import Text

from exprag.cli.output import console, write_json
from exprag.cli.plugins import rows
from exprag.cli.words import Json, plain
from exprag.plugins import registry

Check = tuple[str, bool, str]


def _core() -> list[Check]:
    checks = [("python", sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.platform()}")]
    for package in ("exprag", "langgraph", "langchain-core", "lancedb", "pluggy"):
        try:
            checks.append((package, True, version(package)))
        except PackageNotFoundError:
            checks.append((package, False, f"not installed: pip install {package}"))
    return checks


def _extras() -> list[Check]:
    checks = []
    for extra, package, use in (
        ("hf", "langchain-huggingface", "local models and sentence encoders"),
        ("openai", "langchain-openai", "OpenAI-compatible servers"),
        ("otel", "opentelemetry-api", "spans for a tracing system"),
    ):
        try:
            checks.append((f"extra {extra}", True, f"{package} {version(package)}"))
        except PackageNotFoundError:
            checks.append((f"extra {extra}", False, f"for {use}: pip install 'exprag[{extra}]'"))
    return checks


def _plugins() -> list[Check]:
    return [(f"{row['kind']} {row['id']}", row["status"] == "ok", row["status"]) for row in rows(registry())]


def _bank() -> list[Check]:
    """A bank is made, filled and searched in a temporary folder."""
    import tempfile

    from exprag.bank import Bank
    from exprag.trajectory import Task, Trajectory

    try:
        with tempfile.TemporaryDirectory() as folder:
            bank = Bank.create(f"{folder}/bank")
            bank.add([Trajectory(task=Task(environment="doctor", id="1", instruction="boil water"), success=True)])
            hits = bank.search("boil water", strategy="task", k=1)
        return [("bank", len(hits) == 1, "create, add and search work" if hits else "a stored trajectory was not found")]
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever it meets
        return [("bank", False, f"{type(error).__name__}: {error}")]


def doctor(*, as_json: Json = False) -> int:
    """Check the installation. Missing extras are named with their cure; exit code 1 only if the core does not work."""
    groups: list[tuple[str, Callable[[], list[Check]], bool]] = [
        ("core", _core, True),
        ("extras", _extras, False),
        ("plugins", _plugins, False),
        ("bank", _bank, True),
    ]
    results = [(group, *check, needed) for group, checks, needed in groups for check in checks()]
    if as_json:
        write_json([{"group": g, "name": n, "ok": ok, "detail": d} for g, n, ok, d, _ in results])
    else:
        for _, name, ok, detail, needed in results:
            mark = ("✓", "green") if ok else ("✗", "red") if needed else ("–", "yellow")
            console().print(Text.assemble(mark, " ", plain(name, "bold"), "  ", plain(detail)))
    return int(any(needed and not ok for *_, ok, _, needed in results))
