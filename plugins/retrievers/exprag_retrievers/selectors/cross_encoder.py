"""`cross_encoder`: the candidates in the order of a cross-encoder, which reads the task and a candidate together.

A bank's search compares vectors or words that were made apart. A cross-encoder reads both texts at once, which is nearer to what
people find relevant, at the price of one pass per candidate (Nogueira & Cho, "Passage Re-ranking with BERT", arXiv 1901.04085).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector
from exprag.errors import ConfigError, ModelError, RetrievalError, boundary
from exprag.text import utf8
from exprag_retrievers.selectors.measures import count, pool_option

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

DEFAULT = "cross-encoder/ms-marco-MiniLM-L6-v2"


class CrossEncoderRerank(Selector):
    """The k with the highest score of a cross-encoder, given the moment's task and each candidate's.

    `model` is an id, a folder, or a `CrossEncoder` of sentence-transformers (extra hf); an id is downloaded once. `actions`: how
    many of a candidate's actions it reads after the task. `pool_size`: how many candidates there are per place. `device` is
    PyTorch's. Raises ModelError where the model cannot be loaded, RetrievalError where its scores are no numbers.
    """

    def __init__(
        self, model: str | CrossEncoder = DEFAULT, pool_size: int = 5, actions: int = 0, device: str | None = None
    ) -> None:
        self.pool_size = pool_option(pool_size, None)
        self.actions = count("actions", actions) if actions else 0
        self.model: Any = _load(model, device) if isinstance(model, str) else model

    def pool(self, k: int) -> int:
        return self.pool_size * k

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        if not candidates:
            return []
        query = utf8(moment.task.instruction or moment.task.type)
        pairs = [(query, utf8(self.passage(candidate))) for candidate in candidates]
        with boundary(RetrievalError, "The cross-encoder could not score the candidates"):
            scores = [float(score) for score in self.model.predict(pairs, show_progress_bar=False)]
        if any(score != score for score in scores):
            raise RetrievalError("The cross-encoder gave a score that is not a number.", cure="Check the model.")
        places = sorted(range(len(candidates)), key=lambda place: (-scores[place], place))
        return [
            candidates[place].because(f"cross-encoder score {scores[place]:.3f}, rank {place + 1} by similarity")
            for place in places[:k]
        ]

    def passage(self, candidate: Candidate) -> str:
        """What the model reads of a candidate."""
        trajectory = candidate.trajectory
        return ". ".join([trajectory.task.instruction or trajectory.task.type, *trajectory.actions[: self.actions]])


def _load(name: str, device: str | None) -> CrossEncoder:
    folder = Path(name).expanduser()
    if folder.is_dir() and (code := next(folder.rglob("*.py"), None)):
        raise ConfigError(f"The cross-encoder {name} brings code, {code.name}, which is not run.", cure="Take another model.")
    from sentence_transformers import CrossEncoder

    cure = "Give a folder or an id of a cross-encoder: selector_options model=…; without a network it must be downloaded before."
    with boundary(ModelError, f"The cross-encoder {name!r} could not be loaded", cure=cure):
        model = CrossEncoder(str(folder) if folder.is_dir() else name, device=device)
    if model.num_labels != 1:
        message = f"The cross-encoder {name!r} gives {model.num_labels} scores for a pair, not one."
        raise ModelError(message, cure="Take another model.")
    return model
