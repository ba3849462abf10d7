"""The toy environment with a step that says when it is played, and then takes its time unless PATIENT_HURRY is set."""

from __future__ import annotations

import os
import time
from pathlib import Path

from exprag.contracts.environment import Info
from toy import Toy


class Patient(Toy):
    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        Path(os.environ["PATIENT_FILE"]).touch()
        while "PATIENT_HURRY" not in os.environ and not Path(os.environ["PATIENT_FILE"] + ".go").exists():
            time.sleep(0.02)
        return super().step(action)
