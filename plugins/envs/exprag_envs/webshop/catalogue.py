"""The shop's products, read from the original's own data files; loaded once per process and folder.

Knows the files, the products and their prices; not the goals (`goals`), the pages (`pages`) or the search (`search`).
The original draws prices at load time without a seed. Here each product draws its own from its ASIN, so a product costs
the same in every process and in either catalogue.
"""

from __future__ import annotations

import json
import lzma
import os
import random
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exprag.errors import ConfigError, EnvError
from exprag_envs.webshop.search import Search

VARIABLE = "WEBSHOP_DATA"
# The original's file names, by catalogue: products, their attributes, human instructions.
FILES = {
    "small": (("items_shuffle_1000",), ("items_ins_v2_1000",), ("items_human_ins_1000", "items_human_ins")),
    "full": (("items_shuffle",), ("items_ins_v2",), ("items_human_ins",)),
}
GET_DATA = (
    "Clone https://github.com/princeton-nlp/WebShop and run its `setup.sh -d small` (or `-d all`), then set "
    f"{VARIABLE} to its `data` folder or pass data=FOLDER."
)


@dataclass(slots=True)
class Product:
    """What the shop knows of one product. `options` maps an option's name to its values; prices in dollars."""

    asin: str
    category: str
    query: str
    product_category: str
    title: str
    description: str
    bullets: list[str]
    price: float
    price_tag: str
    options: dict[str, list[str]]
    attributes: list[str]
    instruction: str | None
    instruction_attributes: list[str]
    human: list[dict[str, Any]] = field(default_factory=list)


class Catalogue:
    """All products of one data folder, by ASIN in the file's order, with their search engine."""

    def __init__(self, products: dict[str, Product], kind: str, has_human: bool) -> None:
        self.products = products
        self.kind = kind
        self.has_human = has_human
        self._lock = threading.Lock()
        self._search: Search | None = None

    def search(self, keywords: str) -> list[str]:
        """ASINs of the at most 50 best matches, best first. The index is built at the first call."""
        with self._lock:
            if self._search is None:
                self._search = Search({asin: document(product) for asin, product in self.products.items()})
        return self._search(keywords)


def document(product: Product) -> str:
    """What is indexed of a product: title, description, first bullet point and options, as in the original."""
    options = ", and ".join(f"{name}: {', '.join(values)}" for name, values in product.options.items())
    return " ".join([product.title, product.description, *product.bullets[:1], options])


_loaded: dict[tuple[Path, str], Catalogue] = {}
_loading = threading.Lock()


def load(data: str | os.PathLike[str] | None = None, kind: str | None = None) -> Catalogue:
    """The catalogue of a folder (by default that of WEBSHOP_DATA), kept for the life of the process.

    `kind` is "small" (1,000 products) or "full"; by default whichever is there, the small one first as in the original.
    Raises EnvError where files are missing or broken.
    """
    folder, kind, paths = find(data, kind)
    with _loading:
        if (folder, kind) not in _loaded:
            _loaded[folder, kind] = _read(kind, paths)
        return _loaded[folder, kind]


def find(data: str | os.PathLike[str] | None, kind: str | None = None) -> tuple[Path, str, tuple[Path, Path, Path | None]]:
    """Folder, kind and paths of products, attributes and (if there) human instructions. Reads no file."""
    if kind is not None and kind not in FILES:
        raise ConfigError(f"There is no WebShop catalogue {kind!r}.", cure="catalogue is 'small' or 'full'.")
    place = data or os.environ.get(VARIABLE)
    if not place:
        raise EnvError("WebShop needs its product data; no folder was named.", cure=GET_DATA)
    folder = Path(place).expanduser().resolve()
    looked: list[str] = []
    for candidate in [kind] if kind else list(FILES):
        products, attributes, human = (_first(folder, names) for names in FILES[candidate])
        if products and attributes:
            return folder, candidate, (products, attributes, human)
        looked += [f"{names[0]}.json" for names, path in zip(FILES[candidate], (products, attributes), strict=False) if not path]
    raise EnvError(f"WebShop's data is not in {folder}: looked for {', '.join(looked)} (or .json.xz).", cure=GET_DATA)


def data_problem() -> str | None:
    """For listings: None if WEBSHOP_DATA holds a catalogue, else what is missing."""
    try:
        find(None)
    except EnvError as error:
        return str(error)
    return None


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    paths = (folder / f"{name}{ending}" for name in names for ending in (".json", ".json.xz"))
    return next((path for path in paths if path.is_file()), None)


def _json(path: Path, shape: type) -> Any:
    try:
        with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else open(path, encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise EnvError(f"WebShop's {path} cannot be read: {error}.", cure="Fetch the file again.") from error
    if not isinstance(data, shape):
        raise EnvError(f"WebShop's {path} should hold a JSON {shape.__name__}, it holds a {type(data).__name__}.")
    return data


def _read(kind: str, paths: tuple[Path, Path, Path | None]) -> Catalogue:
    rows, attributes = _json(paths[0], list), _json(paths[1], dict)
    human = _json(paths[2], dict) if paths[2] else {}
    products: dict[str, Product] = {}
    for number, row in enumerate(rows):
        try:
            asin = row["asin"]
            if asin == "nan" or len(asin) > 10 or asin in products:  # the original's own filter
                continue
            products[asin] = _product(row, attributes.get(asin, {}), human.get(asin, []))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EnvError(f"WebShop's {paths[0]}: product {number} is not as expected: {error!r}.") from error
    return Catalogue(products, kind, paths[2] is not None)


def _product(row: dict[str, Any], about: dict[str, Any], human: list[dict[str, Any]]) -> Product:
    prices = [float(re.sub(r"[^\d.]", "", part)) for part in (row.get("pricing") or "").split("$")[1:]][:2] or [100.0]
    bullets = row["small_description"]
    options = {
        name.lower(): [value["value"].strip().replace("/", " | ").lower() for value in values]
        for name, values in (row["customization_options"] or {}).items()
        if values is not None
    }
    return Product(
        asin=row["asin"],
        category=row["category"],
        query=row["query"].lower().strip(),
        product_category=row["product_category"],
        title=row["name"],
        description=row["full_description"] or "",
        bullets=bullets if isinstance(bullets, list) else [bullets or ""],
        price=prices[0] if len(prices) == 1 else random.Random(f"price {row['asin']}").uniform(*prices),
        price_tag=" to ".join(f"${price}" for price in prices),
        options=options,
        attributes=about.get("attributes", ["DUMMY_ATTR"]),
        instruction=about.get("instruction"),
        instruction_attributes=about.get("instruction_attributes") or [],
        human=[{key: goal[key] for key in ("instruction", "instruction_attributes", "instruction_options")} for goal in human],
    )
