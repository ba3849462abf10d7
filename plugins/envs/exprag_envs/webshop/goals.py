"""Goals: what a shopper wants, as text and as the reward reads it.

Two kinds, both the original's. Synthetic: a product's instruction with one combination of its options. Human: written by a
person. Either ends in a price limit above the product's price, which the original draws at load time without a seed and
which is drawn from the product here. Ids: "ASIN/3" is the fourth combination, "ASIN/human-0" the first human instruction.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from exprag_envs.webshop.catalogue import Product

KINDS = ("synthetic", "human")
NO_LIMIT = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Goal:
    """`options` are (name, value) pairs of a synthetic goal, bare values of a human one; `price_upper` in dollars."""

    id: str
    kind: str
    product: Product
    text: str
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str], ...] | tuple[str, ...]
    price_upper: float


def split_of(asin: str) -> str:
    """The split of a product and all of its goals: by SHA-256 of the ASIN, 8 in 10 train, 1 dev, 1 test."""
    bucket = int(hashlib.sha256(asin.encode()).hexdigest(), 16) % 10
    return ("test", "dev")[bucket] if bucket < 2 else "train"


def count(product: Product, kind: str) -> int:
    """How many goals of a kind a product has. One without wanted attributes has none, as in the original."""
    if kind == "human":
        return len(_human(product))
    if not product.instruction or not product.instruction_attributes:
        return 0
    return math.prod(len(values) for values in product.options.values())


def goal(product: Product, kind: str, number: int) -> Goal:
    """A product's goal of a kind by number, 0 ≤ number < `count`."""
    upper = _price_upper(product, f"{kind} {number}" if kind == "human" else kind)
    limit = f", and price lower than {upper:.2f} dollars" if upper < NO_LIMIT else ""
    if kind == "human":
        row = _human(product)[number]
        text, attributes, options = row["instruction"].strip("."), row["instruction_attributes"], row["instruction_options"]
        return Goal(f"{product.asin}/human-{number}", kind, product, text + limit, tuple(attributes), tuple(options), upper)
    pairs: list[tuple[str, str]] = []
    rest = number
    for name in sorted(product.options, reverse=True):  # the last option varies fastest, as in itertools.product
        rest, index = divmod(rest, len(product.options[name]))
        pairs.insert(0, (name, product.options[name][index]))
    clause = " with " + ", and ".join(f"{name}: {value}" for name, value in pairs) if pairs else ""
    return Goal(
        f"{product.asin}/{number}",
        kind,
        product,
        f"{product.instruction}{clause}{limit}",
        tuple(product.instruction_attributes),
        tuple(pairs),
        upper,
    )


def by_id(products: dict[str, Product], id: str) -> Goal | None:
    """The goal of an id, or None where there is none."""
    asin, _, number = id.partition("/")
    kind = "human" if number.startswith("human-") else "synthetic"
    number = number.removeprefix("human-")
    product = products.get(asin)
    if product is None or not number.isascii() or not number.isdigit() or str(int(number)) != number:
        return None
    return goal(product, kind, int(number)) if int(number) < count(product, kind) else None


def in_turn(products: list[Product], kind: str) -> Iterator[Goal]:
    """Every product's first goal, then every product's second …: a short beginning covers many products."""
    number = 0
    while products := [product for product in products if number < count(product, kind)]:
        for product in products:
            yield goal(product, kind, number)
        number += 1


def _human(product: Product) -> list[dict]:
    return [row for row in product.human if row["instruction_attributes"]]


def _price_upper(product: Product, draw: str) -> float:
    above = [10.0 * step for step in range(1, 100) if 10.0 * step > product.price][:4]
    return max(random.Random(f"limit {product.asin} {draw}").sample(above, 2)) if len(above) >= 2 else NO_LIMIT
