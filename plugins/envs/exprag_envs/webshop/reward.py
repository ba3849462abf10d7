"""The reward of a purchase (Yao et al. 2022, section 3): how much of what was wanted was bought, in [0, 1].

    r = r_type · (attributes found + options found + price in limit) / (attributes wanted + options wanted + 1)

Words are compared fuzzily, by token set, above 85 of 100, as in the original. The type looks at the nouns in the titles;
TextBlob's tagger with its bundled lexicon finds them in place of a spaCy model, which would be a download.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from functools import lru_cache

from exprag_envs.webshop.catalogue import Product
from exprag_envs.webshop.goals import Goal

# Colour words in the original's order: an option that holds one counts as the first of these.
COLOURS = tuple(
    """alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown burgundy camel camo caramel
    champagne charcoal cheetah chestnut chocolate christmas coffee cognac copper coral cranberry cream crystal dark denim
    eggplant elephant espresso fuchsia gold granite grape graphite grass gray green grey heather indigo ivory ivy khaki lavender
    lemon leopard light lilac lime magenta maroon mauve merlot midnight mint mocha multicolor mushroom mustard natural navy nude
    olive orange peach pewter pink plum purple rainbow red rose royal rust sand sapphire seashell silver skull slate steel stone
    stonewash sunflower tan taupe teal tiger turquoise violet walnut wheat white wine yellow""".split()  # noqa: SIM905 - a list of quoted words would be no easier to read
)
_tagger = threading.Lock()


def reward(bought: Product, selection: Collection[str], goal: Goal) -> float:
    """The reward of buying a product with these option values."""
    points = attributes_found(bought, goal.attributes) + options_found(selection, goal.options)
    points += bought.price <= goal.price_upper
    return type_reward(bought, goal.product) * points / (len(goal.attributes) + len(goal.options) + 1)


def type_reward(bought: Product, target: Product) -> float:
    """1 for the same kind of product, 0.5, 0.1 or 0 the less the titles' nouns agree."""
    target_nouns = nouns(target.title)
    shared = len(nouns(bought.title) & target_nouns) / len(target_nouns) if target_nouns else 0.2
    if shared < 0.1:
        return 0.1 if shared else 0.0
    alike = bought.query == target.query or len(_path(bought) & _path(target)) >= 2
    return 1.0 if alike or shared > 0.2 else 0.5


def attributes_found(bought: Product, targets: Collection[str]) -> int:
    """How many wanted attributes the product has: fuzzily among its own, or literally in its texts."""
    texts = (bought.title.lower(), " ".join(bought.bullets).lower(), bought.description.lower())
    return sum(
        any(alike(own, attribute) for own in bought.attributes) or any(attribute in text for text in texts)
        for attribute in targets
    )


def options_found(selection: Collection[str], targets: Collection[tuple[str, str] | str]) -> int:
    """How many wanted options were chosen. A synthetic goal's pair is matched with its name, so its colour is kept as it is."""
    values = [_colour(value) for value in selection]
    return sum(any(alike(value, _option_text(option)) for value in values) for option in targets)


def alike(one: str, other: str) -> bool:
    """thefuzz's token_set_ratio above 85."""
    from rapidfuzz import fuzz, utils

    one, other = (text.encode("ascii", "ignore").decode() for text in (one, other))
    return round(fuzz.token_set_ratio(one, other, processor=utils.default_process)) > 85


@lru_cache(maxsize=4096)
def nouns(title: str) -> frozenset[str]:
    """Common and proper nouns of a title, in lower case."""
    with _tagger:  # the tagger loads its lexicon at first use and is not made for threads
        from textblob.en import tag

        return frozenset(word.lower() for word, kind in tag(title) if kind.startswith("NN"))


def _option_text(option: tuple[str, str] | str) -> str:
    if isinstance(option, str):
        return _colour(option)
    return next((part for part in COLOURS if part in option), " ".join(option))


def _colour(text: str) -> str:
    return next((colour for colour in COLOURS if colour in text), text)


def _path(product: Product) -> set[str]:
    return {part.strip() for part in product.product_category.split("›")}
