"""A run as a folder that Hugging Face's `datasets` reads: one row an episode, its steps within it, and a card.

    README.md               the card: what was played, with which settings and versions, and what the columns are
    data/episodes.parquet   the rows

`datasets.load_dataset(FOLDER)` reads it as it is, and so does the Hub when the folder is uploaded. Nothing is uploaded here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exprag.errors import ConfigError
from exprag.evaluation.causes import Cause, causes_of
from exprag.evaluation.metrics import measure
from exprag.evaluation.redaction import redacted
from exprag.evaluation.results import RunResult
from exprag.files import beside, cannot_write
from exprag.text import redact, utf8, utf8_in
from exprag.trajectory import Step, Trajectory

_BATCH = 256
COLUMNS = {
    "id": "id of the episode",
    "run": "name of the run",
    "environment, split, task, type, instruction": "what was to be done",
    "success, score, ended, error, cause": "how it ended; the cause of a loss is found by rules",
    "model, seed, bank_version, seconds, created": "who played, and when",
    "steps": "observation, thought, action, response, reward, valid, note, query, recalled (id, score, reason), tokens",
    "final_observation": "what the last action led to",
}


def write_hf_dataset(path: str | Path, run: RunResult) -> Path:
    """Write the folder, which appears whole; returns its path. Raises ConfigError where something lies there, RunError where it
    cannot be written."""
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists already.", cure="Choose another --out, or remove it.")
    try:
        with beside(folder) as partial:
            (partial / "data").mkdir(parents=True)
            _write_rows(partial / "data" / "episodes.parquet", run)
            (partial / "README.md").write_text(utf8(card(run)), encoding="utf-8")
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def _write_rows(path: Path, run: RunResult) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number, integer = pa.string(), pa.float64(), pa.int64()
    recalled = pa.list_(pa.struct([("id", text), ("score", number), ("reason", text)]))
    step = [(name, text) for name in ("observation", "thought", "action", "response")]
    step += [("reward", number), ("valid", pa.bool_()), ("note", text), ("query", text), ("recalled", recalled)]
    step += [("prompt_tokens", integer), ("completion_tokens", integer)]
    columns = [(name, text) for name in ("id", "run", "environment", "split", "task", "type", "instruction")]
    columns += [("success", pa.bool_()), ("score", number), ("ended", text), ("error", text), ("cause", text), ("model", text)]
    columns += [("seed", integer), ("bank_version", integer), ("seconds", number), ("created", text)]
    columns += [("steps", pa.list_(pa.struct(step))), ("final_observation", text)]
    schema = pa.schema(columns)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for row in rows(run):
            batch.append(row)
            if len(batch) == _BATCH:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch.clear()
        writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))


def rows(run: RunResult) -> Iterator[dict[str, Any]]:
    """The episodes as plain rows. Lone surrogates, which UTF-8 cannot write, become escapes."""
    for episode, cause in zip(run.episodes, causes_of(run.episodes), strict=True):
        yield utf8_in(_row(run, episode, cause))


def _row(run: RunResult, episode: Trajectory, cause: Cause | None) -> dict[str, Any]:
    task, provenance = episode.task, episode.provenance
    error = f"{episode.error.boundary}: {redact(episode.error.message)}" if episode.error else None
    return {
        "id": episode.id,
        "run": run.name,
        "environment": task.environment,
        "split": task.split,
        "task": task.id,
        "type": task.type,
        "instruction": task.instruction,
        "success": episode.success,
        "score": episode.score,
        "ended": episode.ended,
        "error": error,
        "cause": cause.name if cause else None,
        "model": redact(provenance.model),
        "seed": provenance.seed,
        "bank_version": provenance.bank_version,
        "seconds": provenance.seconds,
        "created": provenance.created,
        "steps": [_step(step) for step in episode.steps],
        "final_observation": episode.final_observation,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        **step.model_dump(include={"observation", "thought", "action", "response", "reward", "valid", "query"}),
        "note": step.note and redact(step.note),
        "recalled": [item.model_dump(include={"id", "score", "reason"}) for item in step.recalled],
        "prompt_tokens": step.usage.prompt if step.usage else None,
        "completion_tokens": step.usage.completion if step.usage else None,
    }


def card(run: RunResult) -> str:
    """README.md: what `datasets` and the Hub read at its top, and what a person wants to know."""
    total = measure(run.episodes)
    environment = str(run.config.get("environment", "an environment"))
    front = {"configs": [{"config_name": "default", "data_files": [{"split": "episodes", "path": "data/episodes.parquet"}]}]}
    columns = "\n".join(f"* `{name}`: {words}" for name, words in COLUMNS.items())
    settings = json.dumps({"configuration": redacted(run.config), "versions": redacted(run.versions)}, indent=2)
    title = " ".join(utf8(f"Episodes of {run.name}").split())
    return f"""---
{json.dumps(front)[1:-1]}
tags: ["agents", "trajectories", "exprag"]
---

# {title}

{total.n} episodes of {environment}, {total.solved} solved, written by exprag. One row is one episode with all its steps.

Check the licence of the environment's texts before you publish this: it holds what was observed.

## Columns

{columns}

## How they were made

```json
{settings.replace("```", "` ` `")}
```
"""
