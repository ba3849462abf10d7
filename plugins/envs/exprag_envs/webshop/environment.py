"""WebShop as a text environment: what an action does to the shop, and the oracle that shops by the goal."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from exprag.contracts.environment import Info, TextEnvironment, make_fingerprint
from exprag.errors import ConfigError, EnvError, closest
from exprag.trajectory import Task
from exprag_envs.webshop import pages
from exprag_envs.webshop.catalogue import Catalogue, Product, find, load
from exprag_envs.webshop.goals import KINDS, Goal, by_id, count, in_turn, split_of
from exprag_envs.webshop.reward import alike, reward
from exprag_envs.webshop.search import RESULTS

RULES = "1"  # raise it when pages, ranking, goals or reward change
_ACTION = re.compile(r"\s*(search|click)\[(.+)\]", re.DOTALL)


class WebShop(TextEnvironment):
    """The shop of Yao et al. 2022 on the original's data.

    Options: `data`, a folder with the original's files (default: WEBSHOP_DATA); `catalogue`, "small" or "full" (default: the
    one that is there); `mode`, "text_rich" or "text"; `goals`, "synthetic", "human" or "all", what `tasks` lists;
    `show_attributes`, whether an item has an Attributes page, which the original hides from shoppers by default.
    """

    name = "webshop"
    splits = ("train", "dev", "test")
    action_templates = ("search[{keywords}]", "click[{element}]")
    experts = ("oracle",)

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        catalogue: str | None = None,
        mode: str = "text_rich",
        goals: str = "synthetic",
        show_attributes: bool = False,
    ) -> None:
        if mode not in pages.MODES:
            raise ConfigError(f"WebShop has no observation mode {mode!r}.", cure=closest(mode, list(pages.MODES)))
        if goals not in (*KINDS, "all"):
            raise ConfigError(f"WebShop has no goals {goals!r}.", cure=closest(goals, [*KINDS, "all"]))
        self._data, self._kind = data, catalogue
        self._mode, self._attributes = mode, show_attributes
        self._goals = KINDS if goals == "all" else (goals,)
        self._goal: Goal
        self._page: pages.Page = []  # empty until the first reset

    @property
    def _shop(self) -> Catalogue:
        return load(self._data, self._kind)

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        """Goals of the split's products, one of each product in turn. A task's type is its product's category."""
        if split not in self.splits:
            raise ConfigError(f"WebShop has no split {split!r}.", cure=closest(split, list(self.splits)))
        shop = self._shop
        categories = sorted({product.category for product in shop.products.values()})
        for unknown in sorted(set(types or ()) - set(categories)):
            raise ConfigError(f"WebShop has no task type {unknown!r}.", cure=closest(unknown, categories))
        if "human" in self._goals and not shop.has_human:
            raise EnvError("WebShop's human instructions are not there: looked for items_human_ins.json (or .json.xz).")
        products = [
            product
            for product in shop.products.values()
            if split_of(product.asin) == split and (types is None or product.category in types)
        ]
        return (_task(goal) for kind in self._goals for goal in in_turn(products, kind))

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        if isinstance(task, str):
            return _task(self._find(task))
        return super().task(task)

    def _find(self, id: str) -> Goal:
        shop = self._shop
        goal = by_id(shop.products, id)
        if goal is None:
            product = shop.products.get(id.partition("/")[0])
            counts = " and ".join(f"{count(product, kind)} {kind}" for kind in KINDS) if product else ""
            cure = f"The product has {counts} goals, numbered from 0." if counts else "Ids are ASIN/NUMBER or ASIN/human-NUMBER."
            raise EnvError(f"WebShop's {shop.kind} catalogue has no goal {id!r}.", cure=cure)
        return goal

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        """Open the shop for a goal. The seed changes nothing: the shop has no chance in it."""
        option = (options or {}).get("task")
        if option is None:
            raise EnvError("WebShop needs to know its task.", cure='reset(options={"task": …}) with one of tasks(SPLIT).')
        self._goal = self._find(self.task(option).id)
        self._score, self._over = 0.0, False
        self._enter()
        return self._observation(), {"task": _task(self._goal), "score": 0.0, "success": False}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """An action that is not understood, or names nothing on the page, does nothing, as in the original."""
        self._must_be_open()
        form = _ACTION.match(action)
        verb, target = (form[1], form[2].lower()) if form else ("", "")
        valid = not self._over and (verb == "search" or (verb == "click" and target in pages.clickables(self._page)))
        if valid and verb == "search":  # understood on every page, as in the original
            self._results(target)
        elif valid:
            self._click(target)
        bought = self._over and valid
        info = {"score": self._score, "success": self.succeeded(self._score), "valid": valid}
        return self._observation(), self._score if bought else 0.0, self._over, False, info

    def admissible_actions(self) -> list[str]:
        """Every click, and on the search page a search for the instruction's own words (any others are understood too)."""
        if not self._page or self._over:
            return []
        if self._where == "search":
            return [f"search[{self._goal.text}]"]
        return [f"click[{name}]" for name in pages.clickables(self._page)]

    def _must_be_open(self) -> None:
        if not self._page:
            raise EnvError("WebShop was not reset.")

    def _enter(self) -> None:
        self._where, self._keywords, self._number = "search", "", 1
        self._item: Product | None = None
        self._selection: dict[str, str] = {}
        self._visited: set[str] = set()
        self._page = pages.search_page(self._goal.text)

    def _results(self, keywords: str, number: int = 1) -> None:
        self._where, self._keywords, self._number = "results", keywords, number
        self._item, self._selection = None, {}
        shop = self._shop
        products = [shop.products[asin] for asin in shop.search(keywords)]
        self._page = pages.results_page(self._goal.text, products, number, self._visited)

    def _show(self, item: Product) -> None:
        self._where, self._item = "item", item
        self._visited.add(item.asin)
        self._page = pages.item_page(self._goal.text, item, self._selection.values(), self._attributes)

    def _click(self, target: str) -> None:
        button = next((piece.text for piece in self._page if piece.kind == "button" and piece.text.lower() == target), None)
        item = self._item
        if button == pages.BACK:
            self._enter()
        elif button == pages.NEXT:
            self._results(self._keywords, self._number + 1)
        elif item is None:
            if button == pages.PREVIOUS:
                self._results(self._keywords, self._number - 1)
            else:
                self._show(self._shop.products[target.upper()])
        elif button == pages.PREVIOUS and self._where == "item":
            self._results(self._keywords, self._number)
        elif button == pages.PREVIOUS:
            self._show(item)
        elif button == pages.BUY:
            self._score, self._over = reward(item, self._selection.values(), self._goal), True
            self._page = pages.done_page(self._score)
        elif button is not None:
            self._where, self._page = "sub", pages.sub_page(self._goal.text, item, button)
        else:
            # A value that two options share belongs to the last of them, as in the original.
            name = [name for name, values in item.options.items() if target in values][-1]
            self._selection[name] = target
            self._show(item)

    def _observation(self) -> str:
        return pages.render(self._page, self._mode)

    def expert(self, name: str | None = None) -> Iterator[str]:
        """The oracle knows the goal's product: it searches the title, pages on to it, picks the options and buys."""
        if name not in (None, *self.experts):
            raise EnvError(f"WebShop has no expert {name!r}.", cure=closest(str(name), list(self.experts)))
        self._must_be_open()
        return self._oracle(self._goal)

    def _oracle(self, goal: Goal) -> Iterator[str]:
        product = goal.product
        yield f"search[{product.title}]"
        link = product.asin.lower()
        for _ in range(RESULTS // pages.PER_PAGE):
            if link in pages.clickables(self._page):
                break
            yield f"click[{pages.NEXT}]"
        else:
            return
        yield f"click[{link}]"
        for option in goal.options:
            value = option[1] if isinstance(option, tuple) else _nearest(product, option)
            if value:
                yield f"click[{value}]"
        yield f"click[{pages.BUY}]"

    def max_steps(self, task: Task) -> int:
        return 15

    def fingerprint(self) -> str:
        """Also tells the catalogues apart: a click on a product of one is nothing in the other."""
        try:
            kind = find(self._data, self._kind)[1]
        except EnvError:
            kind = "none"
        return make_fingerprint(self.name, RULES, (*self.action_templates, f"catalogue {kind}"))


def _task(goal: Goal) -> Task:
    product = goal.product
    return Task(
        environment=WebShop.name,
        id=goal.id,
        split=split_of(product.asin),
        type=product.category,
        instruction=goal.text,
        group=product.asin,
        metadata={"asin": product.asin, "goal": goal.kind},
    )


def _nearest(product: Product, target: str) -> str | None:
    values = [value for values in product.options.values() for value in values]
    return target if target in values else next((value for value in values if alike(value, target)), None)
