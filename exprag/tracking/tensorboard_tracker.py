"""TensorBoard: scalars by episode, in RUN/tensorboard. `tensorboard --logdir RUNS` shows them; nothing leaves the machine."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exprag.tracking.tracker import Tracker

FOLDER = "tensorboard"


class TensorBoard(Tracker):
    """Writes event files."""

    def __init__(self) -> None:
        self._writer: Any = None

    def run_start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder / FOLDER))
        text = json.dumps({"name": name, **config}, indent=2)
        tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[f"```\n{text}\n```".encode()])
        about = summary_pb2.SummaryMetadata(plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="text"))
        value = summary_pb2.Summary.Value(tag="configuration", tensor=tensor, metadata=about)
        event = event_pb2.Event(wall_time=time.time(), step=0, summary=summary_pb2.Summary(value=[value]))
        self._writer.add_event(event)

    def episode(self, number: int, values: Mapping[str, float]) -> None:
        self._add(number, {f"episode/{name}": value for name, value in values.items()})

    def run_end(self, values: Mapping[str, float]) -> None:
        self._add(int(values["episodes"]), {f"run/{name}": value for name, value in values.items()})
        self._writer.close()

    def _add(self, number: int, values: Mapping[str, float]) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2

        scalars = [summary_pb2.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._writer.add_event(event_pb2.Event(wall_time=time.time(), step=number, summary=summary_pb2.Summary(value=scalars)))
        self._writer.flush()


def make() -> Tracker:
    return TensorBoard()
