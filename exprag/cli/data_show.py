"""`exprag data show`: rows as they are learnt."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from exprag.cli.data import Place, TokenizerOption, app, load_tokenizer
from exprag.cli.output import console, say
from exprag.cli.words import plain

LEARNT, CONTEXT = "bold green", "dim"


@app.command
def show(
    dataset: Place,
    /,
    *,
    number: Annotated[int, Parameter(name=("--number", "-n"), help="How many rows.", validator=Number(gte=1))] = 1,
    skip: Annotated[int, Parameter(help="Rows to pass over first.", validator=Number(gte=0))] = 0,
    tokenizer: TokenizerOption = None,
) -> None:
    """Print rows, what is learnt in green: tokens with a tokenizer, else messages."""
    from exprag.training import check_tokenizer, describe_dataset, read_rows

    about = describe_dataset(dataset)
    chat = None
    if tokenizer is not None:
        from exprag.training import ChatTokens

        loaded = load_tokenizer(tokenizer)
        check_tokenizer(about, loaded)
        chat = ChatTokens(loaded)
    for row in islice(read_rows(dataset), skip, skip + number):
        turns = f"turns {row['first']} to {row['last']}"
        say(f"{row['id']} · {turns} · memory {row['memory']}, K {row['k']}", "bold")
        for recalled in row["recalled"]:
            say(f"  recalled {recalled['id']} ({recalled['score']:.4g}) {recalled['reason']}", "cyan")
        console().print(_tokens(row, chat) if chat else _messages(row), soft_wrap=True)
        console().print()


def _messages(row: dict[str, Any]) -> Text:
    text = Text()
    for message, trained in zip(row["messages"], row["train"], strict=True):
        text.append_text(plain(f"{message['role']}\n", "bold"))
        text.append_text(_learnt(message["content"], trained))
        text.append("\n")
    return text


def _tokens(row: dict[str, Any], chat: Any) -> Text:
    """The row as it is tokenised, runs of learnt tokens and of context decoded apart."""
    from exprag.training.rows.tokens import IGNORED

    if "input_ids" not in row:
        row = {**row, **vars(chat.encode(row["messages"], row["train"]))}
    ids, labels = row["input_ids"], row["labels"]
    text, start = Text(), 0
    for end in range(1, len(ids) + 1):
        if end == len(ids) or (labels[end] == IGNORED) != (labels[start] == IGNORED):
            text.append_text(_learnt(chat.tokenizer.decode(ids[start:end]), labels[start] != IGNORED))
            start = end
    return text


def _learnt(text: str, learnt: bool) -> Text:
    """Green if it is learnt; where there are no colours, in brackets."""
    return plain(f"⟦{text}⟧" if learnt and console().color_system is None else text, LEARNT if learnt else CONTEXT)
