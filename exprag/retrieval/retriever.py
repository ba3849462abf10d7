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
from exprag.errors import ConfigError, RetrievalError, boundary
from exprag.faults import advise, name_component
from exprag.memory import MemoryState, ShownHint
from exprag.metering import counted
from exprag.plugins import create
from exprag.retrieval.hints import HintFinder
from exprag.retrieval.refresh import check_refresh, is_due
from exprag.telemetry import spanned_retrieval
from exprag.trajectory import Task, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from exprag.bank import Bank
    from exprag.bank.documents.collection import DocumentHit

INDEX_STATES = ("all", "matched", "mismatched", "empty")
MODES = ("auto", "vector", "lexical", "hybrid")
_GROWTH = 4


@dataclass(frozen=True)
class Retrieval:
    """The answer of a bank at a moment: candidates and documents best first, for the query that was asked."""

    query: str
    candidates: tuple[Candidate, ...] = ()
    bank_version: int | None = None
    subgoal: str = ""
    documents: tuple[DocumentHit, ...] = ()


class Retriever:
    """Finds experience for a moment.

    strategy, selector   plugin names, or objects; `…_options` go to the factories of named ones
    k                    how many trajectories are recalled at most; 0: none
    where                which rows may be found; the environment is the moment's unless the filter names one
    exclude              never the moment's own task or group (see `Exclusion.of`). False only for measuring the leak
    exclude_by           names of metadata fields; tasks with an equal value are excluded too (the same floor plan)
    refresh              once, every_step, every_N_steps or on_change; default: the strategy's own
    carry_over           at most this many of the trajectories in force stay when the memory is refreshed: those that earlier
                         actions relied on (ExpRAG, section 5, on what dynamic retrieval loses)
    index_state          the index state of an experiment (ExpRAG, section 5): all rows; matched: of the task types in question;
                         mismatched: of any other; empty: none
    index_types          the types in question; default: the moment's own
    key_strategy         the query strategy whose stored keys are searched; default: the strategy's own. A strategy given as an
                         object needs it
    search_mode          auto (vectors where the bank has them), vector, lexical or hybrid
    document_k           how many of the bank's documents are found beside the trajectories, by the same query
    hint_k               how many of the bank's hints for the task are found, once at the start; `hint_rank` and `hint_model` say
                         how they are ranked, see `exprag.retrieval.hints`
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
        exclude_by: Sequence[str] = (),
        refresh: str | None = None,
        carry_over: int = 0,
        index_state: str = "all",
        index_types: Iterable[str] = (),
        key_strategy: str | None = None,
        search_mode: str = "auto",
        document_k: int = 0,
        hint_k: int = 0,
        hint_rank: str = "lexical",
        hint_model: str | BaseChatModel | None = None,
        strategy_options: Mapping[str, Any] | None = None,
        selector_options: Mapping[str, Any] | None = None,
    ) -> None:
        for name, number in (("k", k), ("carry_over", carry_over), ("document_k", document_k), ("hint_k", hint_k)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                what = {"document_k": "documents", "hint_k": "hints"}.get(name, "trajectories")
                raise ConfigError(f"{name} is the number of {what} to recall, 0 or more; not {number!r}.")
        if key_strategy is None and not isinstance(strategy, str):
            raise ConfigError("A query strategy given as an object needs `key_strategy`: whose keys in the bank it searches.")
        for name, value, options in (("index_state", index_state, INDEX_STATES), ("search_mode", search_mode, MODES)):
            if value not in options:
                raise ConfigError(f"{name} is one of {', '.join(options)}; not {value!r}.")
        self.bank = bank
        self.strategy_name, self.strategy = _component("query_strategy", strategy, QueryStrategy, strategy_options)
        self.selector_name, self.selector = _component("selector", selector, Selector, selector_options)
        self.k = k
        self.carry_over = min(carry_over, k)
        self.where = where or Filter()
        self.exclude = exclude
        self.exclude_by = tuple(exclude_by)
        self.refresh = check_refresh(refresh or self.strategy.refresh)
        self.index_state = index_state
        self.index_types = frozenset(index_types)
        self.search_mode = search_mode
        self.document_k = document_k
        self.hint_k = hint_k
        self.hint_finder = HintFinder(bank, hint_k, hint_rank, hint_model) if hint_k else None
        self.key_strategy = key_strategy or self.strategy_name.rpartition("/")[2]
        if self.key_strategy not in bank.strategies:
            raise RetrievalError(
                f"The bank {bank.uri} holds no keys of the query strategy {self.key_strategy!r}; "
                f"it has {', '.join(bank.strategies)}.",
                cure=f"Add them once: exprag bank add-strategy {bank.uri} {self.key_strategy}",
            )

    def due(self, n_steps_done: int, already: bool) -> bool:
        """Whether to ask before the next action: `already` says that this episode has asked before."""
        refresh = self.refresh if self.k > 0 or self.document_k > 0 else "once"
        return (self.k > 0 or self.document_k > 0 or self.hint_k > 0) and is_due(refresh, n_steps_done, already)

    @spanned_retrieval
    def retrieve(
        self, moment: Moment, *, trajectory_ids: Iterable[str] = (), previous: MemoryState | None = None
    ) -> Retrieval | None:
        """The trajectories for this moment, or None where the memory is to stay as it is.

        `trajectory_ids` are excluded too (the episode being trained on). `previous` is what is in the memory now. Raises
        RetrievalError naming the plugin that broke its contract.
        """
        version = self.bank.version
        blind = self.k == 0 or self.index_state == "empty"
        if blind and not self.document_k:
            return Retrieval("", (), version) if previous is None else None
        subgoal = ""
        if self.refresh == "on_change":
            subgoal = self._text(self._call("query_strategy", self.strategy, "subgoal", moment))
            if previous is not None and subgoal == previous.subgoal:
                return None
        query = self._call("query_strategy", self.strategy, "query", moment)
        if query is None:
            return None
        query = self._text(query)
        candidates = () if blind else self._candidates(query, moment, frozenset(trajectory_ids), previous)
        return Retrieval(query, candidates, version, subgoal, self._documents(query))

    def hints(self, moment: Moment, trajectory_ids: Iterable[str] = ()) -> tuple[tuple[ShownHint, ...], Usage | None]:
        """The hints for the moment's task, best first, and the tokens of the model that chose them, where one did."""
        if self.hint_finder is None or self.hint_k == 0 or self.index_state == "empty":
            return (), None
        with counted("hints"):
            return self.hint_finder.find(moment, trajectory_ids=frozenset(trajectory_ids), exclude=self.exclude)

    def ask(self, text: str) -> Retrieval:
        """What the bank has for a text that belongs to no task: the text is the query. It may come from any environment that
        `where` allows, nothing can be excluded, and only the index states all and empty have a meaning."""
        if self.index_state not in ("all", "empty"):
            raise ConfigError(f"The index state {self.index_state} is about a task's type; a text has none.", cure="Give a task.")
        version = self.bank.version
        if self.k == 0 or self.index_state == "empty":
            return Retrieval(text, (), version)
        hits = self.bank.search(text, strategy=self.key_strategy, k=self._pool(), where=self.where, mode=self.search_mode)
        pool = [Candidate(hit.trajectory, hit.score, step=hit.step) for hit in hits]
        moment = Moment(Task(environment=self.where.environment or "any", id="text", instruction=text))
        selection = self._select(pool, moment, self.k)
        candidates = tuple(self._shaped(candidate) for candidate in selection)
        return Retrieval(text, candidates, version, documents=self._documents(text))

    def changed(self, **attributes: Any) -> Self:
        """The same retriever with some attributes otherwise."""
        other = copy(self)
        vars(other).update(attributes)
        return other

    def _candidates(
        self, query: str, moment: Moment, trajectory_ids: frozenset[str], previous: MemoryState | None
    ) -> tuple[Candidate, ...]:
        exclusion = self._exclusion(moment, trajectory_ids)
        carried = self._carried_over(previous, exclusion)
        pool = self._search(query, exclusion, moment, avoid={candidate.trajectory.id for candidate in carried})
        selection = self._select(pool, moment, self.k - len(carried))
        return (*carried, *(self._shaped(candidate) for candidate in selection))

    def _documents(self, query: str) -> tuple[DocumentHit, ...]:
        if not self.document_k:
            return ()
        return tuple(self.bank.documents().search(query, self.document_k, mode=self.search_mode))

    def _exclusion(self, moment: Moment, ids: frozenset[str]) -> Exclusion:
        exclusion = Exclusion.of(moment.task, ids, self.exclude_by) if self.exclude else Exclusion(trajectory_ids=ids)
        return replace(exclusion, types=self._types(moment)) if self.index_state == "mismatched" else exclusion

    def _types(self, moment: Moment) -> frozenset[str]:
        return self.index_types or frozenset({moment.task.type})

    def _search(self, query: str, exclusion: Exclusion, moment: Moment, avoid: set[str]) -> list[Candidate]:
        where = self.where if self.where.environment else replace(self.where, environment=moment.task.environment)
        if self.index_state == "matched":
            types = self._types(moment)
            where = replace(where, types=tuple(sorted(types if where.types is None else types & set(where.types))))
        size = self._pool()
        limit = size + len(avoid)
        while True:
            hits = self.bank.search(
                query, strategy=self.key_strategy, k=limit, where=where, exclude=exclusion, mode=self.search_mode
            )
            allowed = [hit for hit in hits if exclusion.allows(hit.trajectory)]
            if not exclusion.metadata and len(allowed) < len(hits):
                leak = next(hit for hit in hits if not exclusion.allows(hit.trajectory))
                raise RetrievalError(
                    f"The search returned the excluded trajectory {leak.trajectory.id!r} for task {moment.task.key!r}.",
                    cure="Report this: the bank's columns and payload disagree.",
                )
            others = [hit for hit in allowed if hit.trajectory.id not in avoid]
            if len(others) >= size or len(hits) < limit:
                return [Candidate(hit.trajectory, hit.score, step=hit.step) for hit in others[:size]]
            limit *= _GROWTH

    def _carried_over(self, previous: MemoryState | None, exclusion: Exclusion) -> list[Candidate]:
        """Those of the memory in force that stay, as they were; one that has left the bank meanwhile is let go."""
        items = {item.id: item for item in previous.recalled[: self.carry_over]} if previous else {}
        if not items:
            return []
        trajectories = {t.id: t for t in self.bank.trajectories(Filter(ids=tuple(items))) if exclusion.allows(t)}
        return [
            self._shaped(Candidate(trajectories[id], item.score, "kept: earlier actions relied on it", item.step))
            for id, item in items.items()
            if id in trajectories
        ]

    def _shaped(self, candidate: Candidate) -> Candidate:
        """Whole, or the window round the step that matched."""
        if candidate.step is None or not isinstance(self.strategy, StepStrategy):
            return candidate
        part = window(candidate.trajectory, candidate.step, self.strategy.before, self.strategy.after)
        return replace(candidate, trajectory=part)

    def _text(self, query: Any) -> str:
        if not isinstance(query, str):
            raise self._fault("query_strategy", self.strategy, f"gave a {type(query).__name__}, not text or None.")
        return query

    def _pool(self) -> int:
        size = self._call("selector", self.selector, "pool", self.k)
        if not isinstance(size, int) or size < self.k:
            raise self._fault("selector", self.selector, f"asks for a pool of {size!r} to keep {self.k}.")
        return size

    def _select(self, pool: list[Candidate], moment: Moment, k: int) -> tuple[Candidate, ...]:
        if not pool or k <= 0:
            return ()
        selection = self._call("selector", self.selector, "select", pool, k, moment)
        if not isinstance(selection, list | tuple) or not all(isinstance(item, Candidate) for item in selection):
            broken = f"gave a {type(selection).__name__}; it must give a list of candidates."
            raise self._fault("selector", self.selector, broken)
        ids = [item.trajectory.id for item in selection]
        if len(ids) > k or len(set(ids)) < len(ids) or not set(ids) <= {item.trajectory.id for item in pool}:
            broken = f"gave {len(ids)} candidates; it must keep at most {k} different ones of its pool."
            raise self._fault("selector", self.selector, broken)
        return tuple(selection)

    @staticmethod
    def _call(kind: str, component: Any, method: str, *arguments: Any) -> Any:
        what, cure = f"The {name_component(kind, component)} raised", advise(kind, component)
        with counted(kind), boundary(RetrievalError, what, cure=cure):
            return getattr(component, method)(*arguments)

    @staticmethod
    def _fault(kind: str, component: Any, broken: str) -> RetrievalError:
        return RetrievalError(f"The {name_component(kind, component)} {broken}", cure=advise(kind, component))


def _component(kind: str, source: Any, contract: type, options: Mapping[str, Any] | None) -> tuple[str, Any]:
    """The name and the object of a strategy or selector, which is given by its name or as an object."""
    name = source if isinstance(source, str) else type(source).__name__
    if options and not isinstance(source, str):
        raise ConfigError(f"A {kind.replace('_', ' ')} given as an object takes no options.", cure="Set them where it is made.")
    component = create(kind, source, **(options or {})) if isinstance(source, str) else source
    if not isinstance(component, contract):
        what = f"The {name_component(kind, source)} is a {type(component).__name__}, not a {contract.__name__}."
        raise RetrievalError(what, cure=advise(kind, source))
    return name, component
