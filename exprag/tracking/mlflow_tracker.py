"""MLflow: a run of the experiment exprag, in files under RUN/mlflow, unless MLFLOW_TRACKING_URI names another place.

MLflow refuses stores of files since they get no new features, unless MLFLOW_ALLOW_FILE_STORE allows them; what is written here
stays readable, and `mlflow migrate-filestore` turns it into a database. Nothing leaves the machine unless a server is named.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exprag.tracking.tracker import Tracker

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # here, because MLflow reads it when it is imported

FOLDER = "mlflow"
PARAMETERS = 100
"""Parameters that MLflow takes in one call."""
LONGEST = 500
"""Characters of a parameter that every version of MLflow takes; what is longer stands in config.json alone."""


class MLflow(Tracker):
    """Logs into a run of the experiment MLFLOW_EXPERIMENT_NAME, by default exprag."""

    def __init__(self) -> None:
        self._client: Any = None
        self._run_id = ""

    def run_start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        place = os.environ.get("MLFLOW_TRACKING_URI") or (folder / FOLDER).resolve().as_uri()
        self._client = MlflowClient(tracking_uri=place)
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", "exprag")
        experiment = self._client.get_experiment_by_name(title)
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(title)
        self._run_id = self._client.create_run(experiment_id, run_name=name).info.run_id
        self._client.log_dict(self._run_id, dict(config), "config.json")
        parameters = [Param(key, value) for key, value in _flat(config) if len(value) <= LONGEST]
        for start in range(0, len(parameters), PARAMETERS):
            self._client.log_batch(self._run_id, params=parameters[start : start + PARAMETERS])

    def episode(self, number: int, values: Mapping[str, float]) -> None:
        self._add(number, {f"episode/{name}": value for name, value in values.items()})

    def run_end(self, values: Mapping[str, float]) -> None:
        self._add(int(values["episodes"]), {f"run/{name}": value for name, value in values.items()})
        self._client.set_terminated(self._run_id)

    def _add(self, number: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        self._client.log_batch(self._run_id, metrics=[Metric(name, value, now, number) for name, value in values.items()])


def _flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """The values of a configuration as text, named by their path (agent.k); those that are not set are left out."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif value is not None:
            yield f"{before}{name}", str(value)


def make() -> Tracker:
    return MLflow()
