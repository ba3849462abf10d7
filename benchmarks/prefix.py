"""What the shared engine reads: tokens that are read ÷ tokens that are new, with memory that stays and memory that changes.

    python benchmarks/prefix.py [--json] [--quick | --smoke] [--model FOLDER]

Generated ALFWorld games with one recalled episode, several side by side. New are the tokens that the prompt of the step before,
with its answer, did not hold, each counted as often as it stands there. The memory block stays for an episode (`refresh` once),
or is asked for again at every step, where it stands at the end of the prompt or in the system message. The figures do not depend
on the model, but for its tokenizer: without one, a small untrained model is made on the spot.

    static                aim: at most 1.1
    dynamic_tail, dynamic_system
    first_step            tokens read ÷ tokens of the prompts in the first steps of all episodes: they share their beginning
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from _local_model import Games, fill_bank, make_model
from _output import Figures, make_parser, sized, start

from exprag.models import load_model

ARMS = {
    "static": {"refresh": "once"},
    "dynamic_tail": {"refresh": "every_step", "placement": "tail"},
    "dynamic_system": {"refresh": "every_step", "placement": "system"},
}


def measure(model: str, bank: Path, episodes: int, steps: int, **values: Any) -> tuple[float, float]:
    """(tokens read ÷ new tokens over all steps, read ÷ tokens of the prompt over the first steps)."""
    chat: Any = load_model(model)
    games = Games(model, bank, limit=episodes, concurrency=episodes, max_steps=steps, **values)
    try:
        with games.recorded(chat.engine) as calls:
            games.play(games.tasks)
    finally:
        games.close()
    read = fresh = 0
    for steps_of_one in calls.by_task.values():
        before: Counter[int] = Counter()
        for prompt, answer in steps_of_one:
            read += answer.read
            fresh += (Counter(prompt) - before).total()
            before = Counter([*prompt, *answer.tokens])
    firsts = [calls_of_one[0] for calls_of_one in calls.by_task.values()]
    return read / fresh, sum(answer.read for _, answer in firsts) / sum(len(prompt) for prompt, _ in firsts)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    episodes, steps, stored = sized(options, full=(16, 20, 24), quick=(8, 8, 12), smoke=(2, 2, 4))
    with Figures("prefix", options) as figures, tempfile.TemporaryDirectory() as place:
        bank = fill_bank(Path(place) / "bank", stored)
        folder = options.model or make_model(Path(place) / "model")
        figures.extend({"episodes": episodes, "steps_of_each": steps})
        for number, (arm, values) in enumerate(ARMS.items()):
            spec = f"hf:{folder}?max_new_tokens=12&cache_gigabytes={4 + number / 1000}"  # an engine of its own for each
            ratio, first = measure(spec, bank, episodes, steps, **values)
            figures.add(arm, round(ratio, 3), "at most 1.1" if arm == "static" else "")
            if arm == "static":
                figures.add("first_step", round(first, 3))


if __name__ == "__main__":
    start(main)
