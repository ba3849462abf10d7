"""The retriever: query + exclusion + search + selection, from a moment of an episode to the trajectories for its prompt.

The graph and the writing of training rows use this one object, so that what is trained is what is served.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from exprag.bank.where import Filter
from exprag.errors import ConfigError, ExpragError, RetrievalError
from exprag.plugins import create
from exprag.retrieval.contracts import Candidate, Moment, QueryStrategy, Refresh, Selector
from exprag.retrieval.exclusion import Exclusion

if TYPE_CHECKING:
    from exprag.bank import Bank


@dataclass(frozen=True)
class Retrieval:
    """What was asked, and what is to be read, in reading order."""

    query: str
    candidates: tuple[Candidate, ...] = ()
    bank_version: int | None = None


class Retriever:
    """Finds experience for a moment.

    strategy, selector   plugin names, or objects. A strategy object needs `key`: the name whose keys in the bank it asks
                         (also the way to set the query of one strategy against the keys of another)
    k                    how many trajectories are kept at most; 0: none
    where                which rows may be found; the environment is the moment's unless the filter names one
    exclude              never the moment's own task or group (see `Exclusion.of`). False only for measuring the leak
    refresh              "once" or "every_step"; default: the strategy's own
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
        refresh: Refresh | None = None,
        key: str | None = None,
    ) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 0:
            raise ConfigError(f"k is the number of trajectories to recall, 0 or more; not {k!r}.")
        if key is None and not isinstance(strategy, str):
            raise ConfigError("A query strategy given as an object needs `key`: whose keys in the bank it asks.")
        self.bank = bank
        self.strategy_name, self.strategy = _component("query_strategy", strategy, QueryStrategy)
        self.selector_name, self.selector = _component("selector", selector, Selector)
        self.k = k
        self.where = where or Filter()
        self.exclude = exclude
        self.refresh: Refresh = refresh or self.strategy.refresh
        if self.refresh not in get_args(Refresh):
            raise ConfigError(f"refresh is one of {', '.join(get_args(Refresh))}; not {self.refresh!r}.")
        self.key = key or self.strategy_name.rpartition("/")[2]
        if self.key not in bank.strategies:
            raise RetrievalError(
                f"The bank {bank.uri} holds no keys of the query strategy {self.key!r}; it has {', '.join(bank.strategies)}.",
                cure=f"Add them once: exprag bank add-strategy {bank.uri} {self.key}",
            )

    def due(self, n_steps_done: int, already: bool) -> bool:
        """Whether to ask before the next action: `already` says that this episode has asked before."""
        return self.k > 0 and (not already or self.refresh == "every_step")

    def retrieve(self, moment: Moment, *, trajectory_ids: Iterable[str] = ()) -> Retrieval | None:
        """The trajectories for this moment, or None where the strategy leaves the memory as it is.

        `trajectory_ids` are excluded too (the episode being trained on). Raises RetrievalError naming the plugin that broke
        its contract.
        """
        version = self.bank.version
        if self.k == 0:
            return Retrieval("", (), version)
        query = self._call("query strategy", self.strategy_name, self.strategy.query, moment)
        if query is None:
            return None
        if not isinstance(query, str):
            raise RetrievalError(f"The query strategy {self.strategy_name!r} gave a {type(query).__name__}, not text or None.")
        ids = frozenset(trajectory_ids)
        exclusion = Exclusion.of(moment.task, ids) if self.exclude else Exclusion(trajectory_ids=ids)
        where = self.where if self.where.environment else replace(self.where, environment=moment.task.environment)
        hits = self.bank.search(query, strategy=self.key, k=self._pool(), where=where, exclude=exclusion)
        for hit in hits:
            if not exclusion.allows(hit.trajectory):
                raise RetrievalError(
                    f"The search returned the excluded trajectory {hit.trajectory.id!r} for task {moment.task.key!r}.",
                    cure="Report this: the bank's columns and payload disagree.",
                )
        pool = [Candidate(hit.trajectory, hit.score) for hit in hits]
        return Retrieval(query, self._select(pool, moment), version)

    def _pool(self) -> int:
        size = self._call("selector", self.selector_name, self.selector.pool, self.k)
        if not isinstance(size, int) or size < self.k:
            raise RetrievalError(f"The selector {self.selector_name!r} asks for a pool of {size!r} to keep {self.k}.")
        return size

    def _select(self, pool: list[Candidate], moment: Moment) -> tuple[Candidate, ...]:
        if not pool:
            return ()
        name = self.selector_name
        chosen = self._call("selector", name, self.selector.select, pool, self.k, moment)
        if not isinstance(chosen, list | tuple) or not all(isinstance(item, Candidate) for item in chosen):
            raise RetrievalError(f"The selector {name!r} gave {type(chosen).__name__}; it must give a list of candidates.")
        ids = [item.trajectory.id for item in chosen]
        if len(ids) > self.k or len(set(ids)) < len(ids) or not set(ids) <= {item.trajectory.id for item in pool}:
            raise RetrievalError(
                f"The selector {name!r} gave {len(ids)} candidates; it must keep at most {self.k} different ones of its pool."
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


def _component(kind: str, given: Any, wanted: type) -> tuple[str, Any]:
    name = given if isinstance(given, str) else type(given).__name__
    found = create(kind, given) if isinstance(given, str) else given
    if not isinstance(found, wanted):
        raise RetrievalError(f"The {kind} {name!r} is a {type(found).__name__}, not a {wanted.__name__}.")
    return name, found
