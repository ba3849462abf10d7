"""A run as a log of Inspect (inspect.aisi.org.uk), so that Inspect View opens it and its data frames read it.

A sample is an episode. Its messages are the prompt of the last step as it was sent, where that can be written again, then that
step's turn and what it led to; its scores are `success` (C, I, or N where the outcome is unknown) with the cause of a loss, and
the environment's own `score`. What was recalled at each step stands in the sample's metadata. Version 2 of Inspect's schema; its
own package validates the log and writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from exprag.errors import PluginError, boundary
from exprag.evaluation.causes import CAUSES, Cause, causes_of
from exprag.evaluation.metrics import measure
from exprag.evaluation.prompts import PromptWriter, writers
from exprag.evaluation.redaction import redacted
from exprag.evaluation.results import RunResult
from exprag.files import PARTIAL, beside, cannot_write
from exprag.text import redact, utf8_in
from exprag.trajectory import Trajectory, now

ROLES = {"system": "system", "human": "user", "ai": "assistant"}


def write_inspect_log(
    path: str | Path, run: RunResult, recalled: Mapping[str, Trajectory] | None = None, *, tokenizer: Any = None
) -> Path:
    """Write a run as an Inspect log: `*.eval`, or `*.json`; returns its path. `recalled` and `tokenizer`: for the prompts.

    Raises PluginError without the package inspect-ai, RunError where the file cannot be written.
    """
    target = Path(path)
    try:
        from inspect_ai.log import EvalLog, write_eval_log
    except ImportError as error:
        raise PluginError(f"Logs of Inspect need its package ({error}).", cure="pip install 'exprag[inspect]'") from error
    with boundary(PluginError, "This version of inspect-ai does not take the log", cure="pip install --upgrade inspect-ai"):
        log = EvalLog.model_validate(inspect_log(run, recalled or {}, tokenizer))
    try:
        with beside(target, PARTIAL + target.suffix) as partial:  # Inspect goes by the ending
            write_eval_log(log, str(partial), format="json" if target.suffix == ".json" else "eval")
    except OSError as error:
        raise cannot_write(target, error) from error
    return target


def inspect_log(run: RunResult, recalled: Mapping[str, Trajectory], tokenizer: Any = None) -> dict[str, Any]:
    """The log as plain data, by version 2 of Inspect's schema. Lone surrogates, which UTF-8 cannot write, become escapes."""
    (writer,), (reason,) = writers([run], recalled, tokenizer)
    episodes = run.episodes
    epochs: dict[str, int] = {}
    samples = []
    for episode, cause in zip(episodes, causes_of(episodes), strict=True):
        epochs[episode.task.key] = epochs.get(episode.task.key, 0) + 1
        samples.append(_sample(episode, cause, epochs[episode.task.key], writer))
    config = redacted(run.config)
    created = [episode.provenance.created for episode in episodes if episode.provenance.created]
    model = str(config.get("model") or "unknown")
    total = measure(episodes)
    metadata = {"exprag": config, "versions": run.versions, "prompts": reason or "as they were sent"}
    log = {
        "version": 2,
        "status": "success",
        "eval": {
            "created": min(created, default=now()),
            "task": f"{config.get('environment', 'run')}/{config.get('split', '')}".rstrip("/"),
            "task_id": run.name,
            "run_id": run.name,
            "eval_id": run.name,
            "dataset": {"name": str(config.get("environment", "")), "samples": len(epochs), "sample_ids": sorted(epochs)},
            "model": model,
            "config": {"epochs": max(epochs.values(), default=1)},
            "packages": {name: str(version) for name, version in (run.versions.get("packages") or {}).items()},
            "metadata": metadata,
        },
        "results": {
            "total_samples": total.n,
            "completed_samples": total.n - sum(total.errors.values()),
            "scores": [_score("success", "accuracy", total.success), _score("score", "mean", total.score)],
        },
        "stats": {"started_at": min(created, default=""), "completed_at": max(created, default="")},
        "samples": samples,
    }
    return cast(dict[str, Any], utf8_in(log))


def _score(name: str, metric: str, value: float | None) -> dict[str, Any]:
    metrics = {} if value is None else {metric: {"name": metric, "value": value}}
    return {"name": name, "scorer": name, "metrics": metrics}


def _sample(episode: Trajectory, cause: Cause | None, epoch: int, writer: PromptWriter | None) -> dict[str, Any]:
    words = f"{CAUSES[cause.name]}: {redact(cause.why)}" if cause else None
    scores: dict[str, Any] = {
        "success": {"value": {True: "C", False: "I", None: "N"}[episode.success], "explanation": words}
    }
    if episode.score is not None:
        scores["score"] = {"value": episode.score}
    usage = [step.usage for step in episode.steps if step.usage is not None]
    tokens = {"input_tokens": sum(call.prompt for call in usage), "output_tokens": sum(call.completion for call in usage)}
    tokens["total_tokens"] = sum(tokens.values())
    sample: dict[str, Any] = {
        "id": episode.task.key,
        "epoch": epoch,
        "input": episode.task.instruction,
        "target": "",
        "messages": _messages(episode, writer),
        "scores": scores,
        "metadata": _metadata(episode, cause),
        "model_usage": {episode.provenance.model or "model": tokens} if usage else {},
        "total_time": episode.provenance.seconds,
        "uuid": episode.id,
    }
    if episode.error is not None:
        text = redact(episode.error.message)
        sample["error"] = {"message": f"{episode.error.boundary}: {text}", "traceback": "", "traceback_ansi": ""}
    if episode.ended == "truncated":
        sample["limit"] = {"type": "message", "limit": float(len(episode.steps))}
    return sample


def _metadata(episode: Trajectory, cause: Cause | None) -> dict[str, Any]:
    task, provenance = episode.task, episode.provenance
    return {
        "trajectory": episode.id,
        "type": task.type,
        "split": task.split,
        "ended": episode.ended,
        "seed": provenance.seed,
        "bank_version": provenance.bank_version,
        "cause": cause.name if cause else None,
        "steps": [
            {
                "action": step.action,
                "reward": step.reward,
                "valid": step.valid,
                "note": step.note and redact(step.note),
                "query": step.query,
                "recalled": [{"id": item.id, "score": item.score, "reason": item.reason} for item in step.recalled],
            }
            for step in episode.steps
        ],
    }


def _messages(episode: Trajectory, writer: PromptWriter | None) -> list[dict[str, str]]:
    """The conversation of the episode: as it was sent where that is known, else from the record."""
    steps = episode.steps
    memory = writer.memories(episode)[-1] if writer is not None and steps else None
    if writer is not None and memory is not None:
        prompt = writer.messages(episode, len(steps) - 1, memory)
        messages = [(ROLES[message.type], str(message.text)) for message in prompt]
    else:
        messages = [("system", f"Your task: {episode.task.instruction}")]
        for step in steps[:-1]:
            messages += [("user", step.observation), ("assistant", _turn(step))]
        messages += [("user", step.observation) for step in steps[-1:]]
    messages += [("assistant", _turn(step)) for step in steps[-1:]]
    if episode.final_observation:
        messages.append(("user", episode.final_observation))
    return [{"role": role, "content": text} for role, text in messages]


def _turn(step: Any) -> str:
    return str(step.action if step.response is None else step.response)
