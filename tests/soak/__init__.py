"""A soak: kills aimed at named moments, two processes at once, full disks and hostile plugins. See `__main__.py`."""

import sys
from pathlib import Path

TESTS = str(Path(__file__).resolve().parents[1])
if TESTS not in sys.path:  # pytest has it there: the tests' toy environment
    sys.path.insert(0, TESTS)
