"""The keeper of a run's workers: a small process that outlives the run by an instant, and kills what the run left.

Workers watch their parent themselves, but one that is held in a call of C code cannot, nor end what it has started. The keeper
reads lines, "+GROUP" for a process group that begins and "-GROUP" for one that has ended. When they end, the run has ended,
however it ended: the groups that are left are killed. It is run as a script and imports nothing of exprag.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "detached" in sys.argv and os.fork():
        os._exit(0)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
