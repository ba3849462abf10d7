"""The retriever: query + exclusion + search + selection, from a moment of an episode to the trajectories for its prompt.

The graph and the writing of training rows use this one object, so that what is trained is what is served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from exprag.bank.exclusion import Exclusion
from exprag.bank.filters import Filter
from exprag.contracts.query_strategy import Moment, QueryStrategy, StepStrategy, window
from exprag.contracts.selector import Candidate, Selector
from exprag.errors import ConfigError, ExpragError, RetrievalError
from exprag.plugins import create
from exprag.retrieval.refresh import check_refresh, is_due
from exprag.telemetry import spanned_retrieval
from exprag.trajectory import Recalled, Task

if TYPE_CHECKING:
    from exprag.bank import Bank
    from exprag.bank.documents.collection import DocumentHit

INDEX_STATES = ("all", "matched", "mismatched", "empty")
MODES = ("auto", "vector", "lexical", "hybrid")
_GROWTH = 4


@dataclass(frozen=True)
class Previous:
    """What the episode has in its memory block now: what was recalled, best first, and the sub-goal it was recalled for."""

    recalled: tuple[Recalled, ...] = ()
    subgoal: str = ""


@dataclass(frozen=True)
class Retrieval:
    """What was asked, and what is to be read, best first."""

    query: str
    candidates: tuple[Candidate, ...] = ()
    bank_version: int | None = None
    subgoal: str = ""
    documents: tuple[DocumentHit, ...] = ()


class Retriever:
    """Finds experience for a moment.

    strategy, selector   plugin names, or objects. A strategy object needs `key`: the name whose keys in the bank it asks
                         (also the way to set the query of one strategy against the keys of another); `…_options` go to the
                         factories of named ones
    k                    how many trajectories are kept at most; 0: none
    where                which rows may be found; the environment is the moment's unless the filter names one
    exclude              never the moment's own task or group (see `Exclusion.of`). False only for measuring the leak
    wider                names of metadata fields; tasks with the same value are excluded too (the same floor plan)
    refresh              once, every_step, every_N_steps or on_change; default: the strategy's own
    keep                 so many of the trajectories in force stay when the memory is refreshed: those that earlier actions
                         relied on (ExpRAG, section 5, on what dynamic retrieval loses)
    index                the index state of an experiment (ExpRAG, section 5): all rows; matched: of the task types in question;
                         mismatched: of any other; empty: none
    index_types          the types in question; default: the moment's own
    mode                 auto (vectors where the bank has them), vector, lexical or hybrid
    documents            how many of the bank's documents are found beside the trajectories, by the same query
    """

    def __init__(
        self,
        bank: Bank,
        strategy: str | QueryStrategy = "task",
        selector: str | Selector = "top_k",
        k: int = 2,
        *,
        where: Filter | None = None,
        exclude: bool = True,
        wider: Sequence[str] = (),
        refresh: str | None = None,
        keep: int = 0,
        index: str = "all",
        index_types: Iterable[str] = (),
        key: str | None = None,
        mode: str = "auto",
        documents: int = 0,
        strategy_options: Mapping[str, Any] | None = None,
        selector_options: Mapping[str, Any] | None = None,
    ) -> None:
        for name, number in (("k", k), ("keep", keep), ("documents", documents)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                what = "documents" if name == "documents" else "trajectories"
                raise ConfigError(f"{name} is the number of {what} to recall, 0 or more; not {number!r}.")
        if key is None and not isinstance(strategy, str):
            raise ConfigError("A query strategy given as an object needs `key`: whose keys in the bank it asks.")
        for name, word, known in (("index", index, INDEX_STATES), ("mode", mode, MODES)):
            if word not in known:
                raise ConfigError(f"{name} is one of {', '.join(known)}; not {word!r}.")
        self.bank = bank
        self.strategy_name, self.strategy = _component("query_strategy", strategy, QueryStrategy, strategy_options)
        self.selector_name, self.selector = _component("selector", selector, Selector, selector_options)
        self.k = k
        self.keep = min(keep, k)
        self.where = where or Filter()
        self.exclude = exclude
        self.wider = tuple(wider)
        self.refresh = check_refresh(refresh or self.strategy.refresh)
        self.index = index
        self.index_types = frozenset(index_types)
        self.mode = mode
        self.documents = documents
        self.key = key or self.strategy_name.rpartition("/")[2]
        if self.key not in bank.strategies:
            raise RetrievalError(
                f"The bank {bank.uri} holds no keys of the query strategy {self.key!r}; it has {', '.join(bank.strategies)}.",
                cure=f"Add them once: exprag bank add-strategy {bank.uri} {self.key}",
            )

    def due(self, n_steps_done: int, already: bool) -> bool:
        """Whether to ask before the next action: `already` says that this episode has asked before."""
        return (self.k > 0 or self.documents > 0) and is_due(self.refresh, n_steps_done, already)

    @spanned_retrieval
    def retrieve(
        self, moment: Moment, *, trajectory_ids: Iterable[str] = (), previous: Previous | None = None
    ) -> Retrieval | None:
        """The trajectories for this moment, or None where the memory is to stay as it is.

        `trajectory_ids` are excluded too (the episode being trained on). `previous` is what is in the memory now. Raises
        RetrievalError naming the plugin that broke its contract.
        """
        version = self.bank.version
        blind = self.k == 0 or self.index == "empty"
        if blind and not self.documents:
            return Retrieval("", (), version) if previous is None else None
        subgoal = ""
        if self.refresh == "on_change":
            subgoal = self._text(self._call("query strategy", self.strategy_name, self.strategy.subgoal, moment))
            if previous is not None and subgoal == previous.subgoal:
                return None
        query = self._call("query strategy", self.strategy_name, self.strategy.query, moment)
        if query is None:
            return None
        query = self._text(query)
        candidates = () if blind else self._candidates(query, moment, frozenset(trajectory_ids), previous)
        return Retrieval(query, candidates, version, subgoal, self._documents(query))

    def ask(self, text: str) -> Retrieval:
        """What the bank has for a text that belongs to no task: the text is the query. It may come from any environment that
        `where` allows, nothing can be excluded, and only the index states all and empty have a meaning."""
        if self.index not in ("all", "empty"):
            raise ConfigError(f"The index state {self.index} is about a task's type; a text has none.", cure="Give a task.")
        version = self.bank.version
        if self.k == 0 or self.index == "empty":
            return Retrieval(text, (), version)
        hits = self.bank.search(text, strategy=self.key, k=self._pool(), where=self.where, mode=self.mode)
        pool = [Candidate(hit.trajectory, hit.score, step=hit.step) for hit in hits]
        moment = Moment(Task(environment=self.where.environment or "any", id="text", instruction=text))
        chosen = self._select(pool, moment, self.k)
        return Retrieval(text, tuple(self._shaped(c) for c in chosen), version, documents=self._documents(text))

    def changed(self, **attributes: Any) -> Self:
        """The same retriever with some attributes otherwise."""
        other = copy(self)
        vars(other).update(attributes)
        return other

    def _candidates(
        self, query: str, moment: Moment, trajectory_ids: frozenset[str], previous: Previous | None
    ) -> tuple[Candidate, ...]:
        exclusion = self._exclusion(moment, trajectory_ids)
        kept = self._kept(previous, exclusion)
        pool = self._search(query, exclusion, moment, avoid={c.trajectory.id for c in kept})
        chosen = self._select(pool, moment, self.k - len(kept))
        return (*kept, *(self._shaped(c) for c in chosen))

    def _documents(self, query: str) -> tuple[DocumentHit, ...]:
        if not self.documents:
            return ()
        from exprag.bank.documents.collection import Documents

        return tuple(Documents(self.bank).search(query, self.documents, mode=self.mode))

    def _exclusion(self, moment: Moment, ids: frozenset[str]) -> Exclusion:
        exclusion = Exclusion.of(moment.task, ids, self.wider) if self.exclude else Exclusion(trajectory_ids=ids)
        return replace(exclusion, types=self._types(moment)) if self.index == "mismatched" else exclusion

    def _types(self, moment: Moment) -> frozenset[str]:
        return self.index_types or frozenset({moment.task.type})

    def _search(self, query: str, exclusion: Exclusion, moment: Moment, avoid: set[str]) -> list[Candidate]:
        where = self.where if self.where.environment else replace(self.where, environment=moment.task.environment)
        if self.index == "matched":
            types = self._types(moment)
            where = replace(where, types=tuple(sorted(types if where.types is None else types & set(where.types))))
        size = self._pool()
        asked = size + len(avoid)
        while True:
            hits = self.bank.search(query, strategy=self.key, k=asked, where=where, exclude=exclusion, mode=self.mode)
            allowed = [hit for hit in hits if exclusion.allows(hit.trajectory)]
            if not exclusion.metadata and len(allowed) < len(hits):
                wrong = next(hit for hit in hits if not exclusion.allows(hit.trajectory))
                raise RetrievalError(
                    f"The search returned the excluded trajectory {wrong.trajectory.id!r} for task {moment.task.key!r}.",
                    cure="Report this: the bank's columns and payload disagree.",
                )
            fresh = [hit for hit in allowed if hit.trajectory.id not in avoid]
            if len(fresh) >= size or len(hits) < asked:
                return [Candidate(hit.trajectory, hit.score, step=hit.step) for hit in fresh[:size]]
            asked *= _GROWTH

    def _kept(self, previous: Previous | None, exclusion: Exclusion) -> list[Candidate]:
        """Those of the memory in force that stay, as they were; one that has left the bank meanwhile is let go."""
        recalls = {recall.id: recall for recall in previous.recalled[: self.keep]} if previous else {}
        if not recalls:
            return []
        found = self.bank.trajectories(Filter(ids=tuple(recalls)))
        kept = {t.id: Candidate(t, recalls[t.id].score, "kept: earlier actions relied on it", recalls[t.id].step) for t in found}
        return [self._shaped(kept[id]) for id in recalls if id in kept and exclusion.allows(kept[id].trajectory)]

    def _shaped(self, candidate: Candidate) -> Candidate:
        """Whole, or the window round the step that matched."""
        if candidate.step is None or not isinstance(self.strategy, StepStrategy):
            return candidate
        part = window(candidate.trajectory, candidate.step, self.strategy.before, self.strategy.after)
        return replace(candidate, trajectory=part)

    def _text(self, said: Any) -> str:
        if not isinstance(said, str):
            raise RetrievalError(f"The query strategy {self.strategy_name!r} gave a {type(said).__name__}, not text or None.")
        return said

    def _pool(self) -> int:
        size = self._call("selector", self.selector_name, self.selector.pool, self.k)
        if not isinstance(size, int) or size < self.k:
            raise RetrievalError(f"The selector {self.selector_name!r} asks for a pool of {size!r} to keep {self.k}.")
        return size

    def _select(self, pool: list[Candidate], moment: Moment, k: int) -> tuple[Candidate, ...]:
        if not pool or k <= 0:
            return ()
        name = self.selector_name
        chosen = self._call("selector", name, self.selector.select, pool, k, moment)
        if not isinstance(chosen, list | tuple) or not all(isinstance(item, Candidate) for item in chosen):
            raise RetrievalError(f"The selector {name!r} gave {type(chosen).__name__}; it must give a list of candidates.")
        ids = [item.trajectory.id for item in chosen]
        if len(ids) > k or len(set(ids)) < len(ids) or not set(ids) <= {item.trajectory.id for item in pool}:
            raise RetrievalError(
                f"The selector {name!r} gave {len(ids)} candidates; it must keep at most {k} different ones of its pool."
            )
        return tuple(chosen)

    @staticmethod
    def _call(kind: str, name: str, method: Any, *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except ExpragError:
            raise
        except Exception as error:
            raise RetrievalError(f"The {kind} {name!r} raised {type(error).__name__}: {error}.") from error


def _component(kind: str, given: Any, wanted: type, options: Mapping[str, Any] | None) -> tuple[str, Any]:
    name = given if isinstance(given, str) else type(given).__name__
    if options and not isinstance(given, str):
        raise ConfigError(f"A {kind} given as an object takes no options.", cure="Set them where it is made.")
    found = create(kind, given, **(options or {})) if isinstance(given, str) else given
    if not isinstance(found, wanted):
        raise RetrievalError(f"The {kind} {name!r} is a {type(found).__name__}, not a {wanted.__name__}.")
    return name, found
