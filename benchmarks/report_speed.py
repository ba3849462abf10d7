"""How quick the report and the viewer of many episodes are, and how soon the page stands in a browser.

    python benchmarks/report_speed.py [--json] [--quick | --smoke]

Two run directories of 5,000 episodes each, twenty steps long, one with memory: three recalled trajectories of a bank of 400, and
prompts that are written again. Both commands are run as users run them, each in a process of its own.

    report_seconds, view_seconds   `exprag report` and `exprag view`              aim: below 30 s together
    peak_mb                        the larger of the two processes                aim: below 2,000 MB
    page_mb                        the page of all episodes
    first_paint_ms                 from the start to all drawn, of a page of 1,000 episodes, in headless Chromium; left out where
                                   there is none                                  aim: below 2,000 ms
"""

from __future__ import annotations

import json
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from _output import Figures, make_parser, note, sized, start

from exprag.bank import Bank
from exprag.files import write_jsonl
from exprag.trajectory import Provenance, Recalled, Step, Task, Trajectory

ENVIRONMENT = "alfworld-generated"
STEPS = 20
THINGS = ["mug", "plate", "apple", "knife", "book", "pen", "pillow", "candle", "cloth", "tomato"]
PLACES = ["cabinet", "drawer", "shelf", "desk", "fridge", "countertop", "sinkbasin", "garbagecan"]


def episode(number: int, run: str, recalled: tuple[Recalled, ...], wins: float) -> Trajectory:
    """A made episode of the size that ALFWorld's have."""
    rng = random.Random(f"{run} {number}")
    thing, place = THINGS[number % len(THINGS)], PLACES[number % len(PLACES)]
    steps = []
    for step in range(STEPS):
        spot = f"{rng.choice(PLACES)} {rng.randint(1, 9)}"
        sight = ", ".join(f"a {rng.choice(THINGS)} {rng.randint(1, 4)}" for _ in range(6))
        action = f"take {thing} 1 from {spot}" if step == STEPS // 2 else f"go to {spot}"
        steps.append(Step(observation=f"You arrive at {spot}. On the {spot}, you see {sight}.", action=action, recalled=recalled))
    success = rng.random() < wins
    goal = {"type": f"type-{number % 6}", "instruction": f"put a {thing} in {place}."}
    return Trajectory(
        task=Task(environment=ENVIRONMENT, id=f"test/{number}", split="test", **goal),
        steps=tuple(steps),
        success=success,
        score=float(success),
        ended="terminated" if success else "truncated",
        provenance=Provenance(run=run, seed=1, seconds=1.0),
    )


def write_runs(folder: Path, count: int) -> list[str]:
    """Two arms of half as many episodes each."""
    bank = Bank.create(str(folder / "bank"), strategies=("task",))
    past = [episode(number, "past", (), 1.0) for number in range(min(400, count))]
    bank.add(past)
    rng = random.Random(0)

    def episodes(run: str) -> Iterator[Trajectory]:
        for number in range(count // 2):
            items = rng.sample(past, 3) if run == "memory" else []
            recalled = tuple(Recalled(id=item.id, score=0.5, reason="nearest") for item in items)
            yield episode(number, run, recalled, 0.7 if items else 0.4)

    folders = []
    for run in ("no-memory", "memory"):
        place = folder / run
        place.mkdir()
        config: dict[str, object] = {"name": run, "environment": ENVIRONMENT, "split": "test", "model": "case-based", "seed": 1}
        config |= {"bank": bank.uri, "bank_version": bank.version} if run == "memory" else {"bank": None}
        (place / "config.json").write_text(json.dumps(config))
        (place / "versions.json").write_text("{}")
        write_jsonl(place / "episodes.jsonl", episodes(run))
        folders.append(str(place))
    return folders


def command(*arguments: str) -> float:
    """Seconds that an `exprag` command took."""
    begin = time.perf_counter()
    process = subprocess.run([sys.executable, "-m", "exprag", *arguments], capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(process.stderr)
    return time.perf_counter() - begin


def first_paint(page: Path, profile: Path) -> int | None:
    """Milliseconds from the start to all drawn, as the page's own script says; None without a browser to ask."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from websockets.sync.client import connect
    except ImportError:
        program = None
    if program is None:
        return None
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --disable-background-networking --no-first-run"
    command = [program, *flags.split(), "--remote-debugging-port=0", f"--user-data-dir={profile}", page.as_uri()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        try:
            assert process.stderr is not None
            address = next(match[0] for line in process.stderr if (match := re.search(r"ws://[^/]+", line)))
            with urllib.request.urlopen(address.replace("ws:", "http:") + "/json/list", timeout=30) as answer:
                tab = next(each for each in json.load(answer) if each["type"] == "page")
            with connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
                for number in range(1, 300):
                    question = {"expression": "document.documentElement?.dataset.ready"}
                    socket.send(json.dumps({"id": number, "method": "Runtime.evaluate", "params": question}))
                    while (message := json.loads(socket.recv(timeout=60))).get("id") != number:
                        pass
                    if value := message["result"]["result"].get("value"):
                        return int(value)
                    time.sleep(0.1)
        finally:
            process.terminate()
    return None


def main() -> None:
    options = make_parser(__doc__).parse_args()
    count = sized(options, full=10_000, quick=1_000, smoke=40)
    with Figures("report_speed", options) as figures, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        runs = write_runs(folder, count)
        figures.add("episodes", count)
        page = folder / "view.html"
        figures.add("report_seconds", round(command("report", *runs, "--no-audit"), 1))
        figures.add("view_seconds", round(command("view", *runs, "--out", str(page)), 1), "below 30 s, with the report")
        figures.add("peak_mb", round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024), "below 2,000")
        figures.add("page_mb", round(page.stat().st_size / 1e6, 1))
        if count > 1_000:
            (folder / "small").mkdir()
            command("view", *write_runs(folder / "small", 1_000), "--out", str(page))
        paint = first_paint(page, folder / "profile")
        if paint is None:
            note("Chromium and websockets are not both here: the first paint was not measured.")
        else:
            figures.add("first_paint_ms", paint, "below 2,000, of 1,000 episodes")


if __name__ == "__main__":
    start(main)
