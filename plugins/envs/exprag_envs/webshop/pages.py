"""The shop's pages as text, in the original's two text modes.

A page is a list of pieces, each plain text or something to click. Mode "text" joins them with [SEP]; mode "text_rich" writes one
a line, and tags what can be clicked and what was clicked already. Both give exactly the text that
the original makes from its HTML.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from exprag_envs.webshop.catalogue import Product

MODES = ("text", "text_rich")
PER_PAGE = 10
BACK, PREVIOUS, NEXT, BUY, SEARCH = "Back to Search", "< Prev", "Next >", "Buy Now", "Search"
SUB_PAGES = ("Description", "Features", "Reviews")
ATTRIBUTES = "Attributes"


class Piece(NamedTuple):
    text: str
    kind: Literal["plain", "button", "link", "option"] = "plain"
    clicked: bool = False


Page = list[Piece]


def search_page(instruction: str) -> Page:
    return [Piece("WebShop"), Piece("Instruction: "), Piece(instruction), Piece(SEARCH, "button")]


def results_page(instruction: str, products: Sequence[Product], number: int, visited: Collection[str]) -> Page:
    """Page `number` (from 1) of the products found. As in the original, there is always a next page, if an empty one."""
    page = [*_head(instruction), Piece(f"Page {number} (Total results: {len(products)})")]
    page += [Piece(PREVIOUS, "button")] * (number > 1) + [Piece(NEXT, "button")]
    for product in products[(number - 1) * PER_PAGE : number * PER_PAGE]:
        page += [Piece(product.asin, "link", product.asin in visited), Piece(product.title), Piece(product.price_tag)]
    return page


def item_page(instruction: str, product: Product, selection: Collection[str], attributes: bool) -> Page:
    page = [*_head(instruction), Piece(PREVIOUS, "button")]
    for name, values in product.options.items():
        page += [Piece(name), *(Piece(value, "option", value in selection) for value in values)]
    # The catalogue's files hold no reviews, and the original shows this in place of a rating.
    page += [Piece(product.title), Piece(f"Price: {product.price_tag}"), Piece("Rating: N.A.")]
    tabs = [*SUB_PAGES, ATTRIBUTES] if attributes else SUB_PAGES
    return page + [Piece(name, "button") for name in (*tabs, BUY)]


def sub_page(instruction: str, product: Product, name: str) -> Page:
    """One of a product's sub pages. The one of reviews is empty: the data has none."""
    texts = {
        "Description": [product.description],
        "Features": [f" {bullet}" for bullet in product.bullets],
        "Reviews": [],
        ATTRIBUTES: [
            *(f" {attribute}" for attribute in product.attributes),
            product.category,
            product.query,
            product.product_category,
        ],
    }[name]
    return [*_head(instruction), Piece(PREVIOUS, "button"), *map(Piece, texts)]


def done_page(score: float) -> Page:
    return [Piece("Thank you for shopping with us!"), Piece("Your score (min 0.0, max 1.0)"), Piece(str(score))]


def clickables(page: Page) -> list[str]:
    """What can be clicked, in lower case as the original takes it, each once."""
    return list(dict.fromkeys(piece.text.lower() for piece in page if piece.kind != "plain" and piece.text != SEARCH))


def render(page: Page, mode: str) -> str:
    pieces = [piece._replace(text=_collapse(piece.text)) for piece in page]
    pieces = [piece for piece in pieces if piece.text not in ("", "\n")]
    if mode == "text":
        return " [SEP] ".join(piece.text.strip() for piece in pieces)
    lines = "".join(_tagged(piece) + "\n" for piece in pieces)
    selection = [piece.text for piece in pieces if piece.kind == "option" and piece.clicked]
    return "".join(f"You have clicked {text}.\n" for text in reversed(selection)) + lines


def _tagged(piece: Piece) -> str:
    if piece.kind == "plain":
        return piece.text
    lead = {"button": "", "option": "  ", "link": "\n"}[piece.kind]
    tag = "clicked button" if piece.clicked else "button"
    return f"{lead}[{tag}] {piece.text} [{tag}_]"


def _collapse(text: str) -> str:
    # As an HTML parser has it: nothing but white space is one space, or one line break where it holds one.
    return text if text.strip() else "\n" if "\n" in text else text[:1] and " "


def _head(instruction: str) -> Page:
    return [Piece("Instruction:"), Piece(instruction), Piece(BACK, "button")]
