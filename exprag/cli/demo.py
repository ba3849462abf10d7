"""`exprag demo`: the main job from end to end, on a real environment, with no model to download.

Expert experience is collected on train tasks, the same agent plays held-out tasks with and without the bank, the paired
table is printed, and one HTML page holds every episode to read step by step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from exprag.cli.output import console, say
from exprag.cli.progress import episodes_bar
from exprag.cli.words import Set, listed, name_values
from exprag.cli.words import out as out_option
from exprag.runs import RunConfig, RunDirectory
from exprag.runs import run as run_episodes


def demo(
    *,
    out: Annotated[Path, out_option("Folder for bank, runs and page; continued if interrupted.")] = Path("runs/demo"),
    environment: Annotated[str, Parameter(name=("--environment", "--env", "-e"), help="Environment plugin.")] = "scienceworld",
    model: Annotated[str, Parameter(help="Chat model spec.")] = "case-based",
    train_split: Annotated[str, Parameter(help="Split that experience is collected on.")] = "train",
    test_split: Annotated[str, Parameter(help="Held-out split that the agent plays.")] = "test",
    types: Annotated[str, Parameter(help="Task types, comma-separated; default: all.")] = "",
    train_per_type: Annotated[int, Parameter(help="Expert episodes for each task type.")] = 2,
    test_per_type: Annotated[int, Parameter(help="Held-out episodes for each task type and arm.")] = 2,
    k: Annotated[int, Parameter(name=("--k", "-k"), help="Trajectories in the prompt.")] = 2,
    set_: Set = None,
    seed: Annotated[int, Parameter(help="Seed.")] = 2025,
    workers: Annotated[int, Parameter(help="Worker processes.")] = 2,
) -> None:
    """Collect experience, play with and without it, compare, and write a page."""
    from exprag.bank import Bank
    from exprag.evaluation import compare, load_run, write_page

    common = {
        "environment": environment,
        "environment_options": name_values(set_),
        "types": listed(types),
        "shuffle": True,
        "seed": seed,
        "workers": workers,
    }

    def play(title: str, folder: str, **values: object) -> Path:
        console().rule(title, align="left")
        with episodes_bar(folder) as progress:
            run_episodes(RunConfig.make(name=folder, **common, **values), out / folder, progress=progress)
        return out / folder

    experience = play(
        "1  Expert experience on train tasks", "experience", policy="expert", split=train_split, per_type=train_per_type
    )
    bank = Bank.open_or_create(out / "bank")
    say(f"{out / 'bank'}: {bank.add(RunDirectory(experience).episodes())}")
    held_out = {"split": test_split, "per_type": test_per_type, "model": model}
    without = play("2  Held-out tasks without memory", "no-memory", **held_out)
    with_bank = play("3  The same tasks with memory", "memory", bank=str(out / "bank"), k=k, **held_out)

    console().rule("4  With memory against without, task by task", align="left")
    runs = [load_run(without), load_run(with_bank)]
    console().print(compare(runs, baseline="no-memory").to_console())
    page = write_page(out / "report.html", runs, recalled={t.id: t for t in bank.trajectories()})
    say(f"\nRead every episode step by step: {page}")
