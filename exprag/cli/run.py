"""`exprag collect`, `exprag run` and `exprag tasks`: episodes of experts and agents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from exprag.cli.progress import episodes_bar
from exprag.cli.words import listed, name_values
from exprag.errors import ConfigError
from exprag.runs import RunConfig, RunSummary, choose_tasks
from exprag.runs import run as run_episodes
from exprag.runs.player import make_environment

Env = Annotated[str, typer.Option("--env", "-e", help="Environment plugin, see `exprag plugins`.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Environment option NAME=VALUE (JSON, or text); repeatable.")]
Split = Annotated[str, typer.Option(help="Split of the environment's tasks.")]
Types = Annotated[str, typer.Option(help="Task types, comma-separated; default: all.")]
PerType = Annotated[int | None, typer.Option(help="At most so many tasks of each type.")]
Limit = Annotated[int | None, typer.Option(help="At most so many tasks.")]
Shuffle = Annotated[bool, typer.Option(help="Draw the tasks with --seed instead of taking the first.")]
Ids = Annotated[list[str] | None, typer.Option("--task", help="A task by id; repeatable.")]
Seed = Annotated[int, typer.Option(help="Seed of tasks, environment and model.")]
Workers = Annotated[int, typer.Option(help="Worker processes; 0 plays in this one.")]
MaxSteps = Annotated[int | None, typer.Option(help="Step limit; default: the environment's own.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Run directory; an interrupted one is continued.")]
Retry = Annotated[bool, typer.Option(help="Play episodes that ended in an error again.")]


def collect(
    env: Env,
    out: Out,
    bank: Annotated[Path | None, typer.Option(help="Also add the episodes to this bank (made if missing).")] = None,
    expert: Annotated[str | None, typer.Option(help="The environment's expert; default: its first.")] = None,
    split: Split = "train",
    types: Types = "",
    per_type: PerType = None,
    limit: Limit = None,
    shuffle: Shuffle = False,
    task: Ids = None,
    set_: Set = None,
    seed: Seed = 2025,
    workers: Workers = 2,
    max_steps: MaxSteps = None,
    retry_errors: Retry = False,
) -> None:
    """Play the environment's expert over tasks, and keep the episodes as experience."""
    config = RunConfig.make(
        policy="expert",
        expert=expert,
        **_tasks(env, set_, split, types, per_type, limit, shuffle, task, seed),
        workers=workers,
        max_steps=max_steps,
    )
    _play(config, out, retry_errors)
    if bank is not None:
        from exprag.bank import Bank
        from exprag.runs import RunDirectory

        report = Bank.open_or_create(bank).add(RunDirectory(out).episodes())
        Console().print(f"{bank}: {report}")


def run(
    out: Out,
    env: Annotated[str | None, typer.Option("--env", "-e", help="Environment plugin, see `exprag plugins`.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON file; options given here go on top.")] = None,
    model: Annotated[str | None, typer.Option(help="recall, hf:<folder or id>, openai:<model> …; default: recall.")] = None,
    graph: Annotated[str | None, typer.Option(help="A graph of your own: FILE.py:ATTRIBUTE or MODULE:ATTRIBUTE.")] = None,
    bank: Annotated[str | None, typer.Option(help="Experience bank; without one the agent has no memory.")] = None,
    k: Annotated[int | None, typer.Option(help="Trajectories in the prompt; default: 2.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Query strategy; default: task.")] = None,
    refresh: Annotated[str | None, typer.Option(help="once (static), every_step (dynamic), every_N_steps, on_change.")] = None,
    selector: Annotated[str | None, typer.Option(help="Selector; default: top_k.")] = None,
    formatter: Annotated[str | None, typer.Option(help="Formatter; default: chat_json.")] = None,
    memory_budget: Annotated[int | None, typer.Option(help="Tokens that the memory block may take.")] = None,
    placement: Annotated[str | None, typer.Option(help="Where memory stands: system, task or tail.")] = None,
    index: Annotated[str | None, typer.Option(help="Index state: all, matched, mismatched or empty.")] = None,
    style: Annotated[str | None, typer.Option(help="Agent style; default: act.")] = None,
    learn: Annotated[str | None, typer.Option(help="Finished episodes enter the run's own bank: success or all.")] = None,
    learn_every: Annotated[int | None, typer.Option(help="They enter after so many tasks; default: 20.")] = None,
    learn_rule: Annotated[str | None, typer.Option(help="module:function that must agree to each.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Any other field of the arm, NAME=VALUE; repeatable.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of the tasks; default: test.")] = None,
    types: Types = "",
    per_type: PerType = None,
    limit: Limit = None,
    shuffle: Annotated[bool | None, typer.Option(help="Draw the tasks with --seed.")] = None,
    task: Ids = None,
    set_: Set = None,
    seed: Annotated[int | None, typer.Option(help="Seed of tasks, environment and model; default: 2025.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 0 plays in this one; default: 2.")] = None,
    max_steps: MaxSteps = None,
    retry_errors: Retry = False,
) -> None:
    """Play one arm (an agent, with or without a bank) over tasks."""
    chosen = {
        **_tasks(env, set_, split, types, per_type, limit, shuffle, task, seed),
        "model": model,
        "graph": graph,
        "bank": bank,
        "k": k,
        "strategy": strategy,
        "refresh": refresh,
        "selector": selector,
        "formatter": formatter,
        "memory_budget": memory_budget,
        "placement": placement,
        "index": index,
        "style": style,
        "learn": learn,
        "learn_every": learn_every,
        "learn_rule": learn_rule,
        **name_values(arm, "--arm"),
        "workers": workers,
        "max_steps": max_steps,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    if config is None and env is None:
        raise ConfigError("No environment is named.", cure="Give --env NAME, or --config FILE.")
    _play(RunConfig.read(config, **given) if config else RunConfig.make(**given), out, retry_errors)


def tasks(env: Env, split: Split = "test", types: Types = "", limit: Limit = None, set_: Set = None) -> None:
    """List the tasks of a split: how many of each type, and their ids."""
    config = RunConfig.make(**_tasks(env, set_, split, types, None, limit, False, None, 0))
    found = choose_tasks(make_environment(config), config)
    counts: dict[str, int] = {}
    for task in found:
        counts[task.type] = counts.get(task.type, 0) + 1
    table = Table(box=None, header_style="bold")
    table.add_column("type")
    table.add_column("tasks", justify="right")
    table.add_column("first")
    for type_, count in counts.items():
        table.add_row(type_, str(count), next(task.id for task in found if task.type == type_))
    table.add_row("all", str(len(found)), "", style="bold")
    Console().print(table)


def _tasks(
    env: str | None,
    options: list[str] | None,
    split: str | None,
    types: str,
    per_type: int | None,
    limit: int | None,
    shuffle: bool | None,
    ids: list[str] | None,
    seed: int | None,
) -> dict[str, Any]:
    chosen = {
        "environment": env,
        "environment_options": name_values(options) or None,
        "split": split,
        "types": listed(types) or None,
        "per_type": per_type,
        "limit": limit,
        "shuffle": shuffle,
        "task_ids": tuple(ids) if ids else None,
        "seed": seed,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def _play(config: RunConfig, out: Path, retry_errors: bool) -> RunSummary:
    with episodes_bar(out.name) as progress:
        summary = run_episodes(config, out, retry_errors=retry_errors, progress=progress)
    console = Console()
    console.print(f"{summary.path}: {summary.episodes} episodes, {summary.successes} successful")
    for boundary, count in summary.errors.items():
        console.print(
            f"[yellow]{count} ended in an error of the {boundary}[/]: see {summary.path / 'log.txt'}; "
            "mend it and run again with --retry-errors"
        )
    return summary
