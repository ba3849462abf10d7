"""exprag's own records, as `exprag bank export` and run directories have them."""

from __future__ import annotations

from typing import Any

from exprag.contracts.trace_format import Place, TraceFormat
from exprag.trajectory import Trajectory


class Own(TraceFormat):
    """The Trajectory record as JSON."""

    def recognise(self, row: Any) -> bool:
        if not isinstance(row, dict) or "nodes" in row:
            return False
        return isinstance(row.get("task"), dict) or isinstance(row.get("schema_version"), int)

    def read(self, row: Any, place: Place) -> Trajectory:
        return Trajectory.from_dict(row)

    def write(self, trajectory: Trajectory) -> Any:
        return trajectory.to_dict()
