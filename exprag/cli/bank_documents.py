"""`exprag bank add-documents|documents`: reference text beside the trajectories of a bank."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table

from exprag.cli.bank import Place, app
from exprag.cli.output import console, say, write_json
from exprag.cli.words import Json, paths, plain

Collection = Annotated[str, Parameter(help="A bank may hold several collections.")]


@app.command
def add_documents(
    bank: Place,
    files: Annotated[list[Path], paths("Markdown or text files.")],
    /,
    *,
    whole: Annotated[bool, Parameter(name="--whole", help="Do not divide Markdown at its headings.")] = False,
    collection: Collection = "documents",
) -> None:
    """Add documents, or a newer edition of them; the bank is made if it is missing."""
    from exprag.bank import Bank
    from exprag.bank.documents.collection import Documents
    from exprag.bank.documents.files import add_files, read_file

    for file in files:  # before a bank is made for nothing
        list(read_file(file))
    documents = Documents(Bank.open(bank) if Bank.exists(bank) else Bank.create(bank), collection)
    report, removed = add_files(documents, files, whole=whole)
    gone = f", {removed} of an earlier edition removed" if removed else ""
    say(f"{report}{gone}. {documents.bank.uri}: {len(documents)} documents.")


@app.command
def documents(
    bank: Place,
    text: Annotated[str, Parameter(help="What to look for; without, the sources are listed.")] = "",
    /,
    *,
    k: Annotated[int, Parameter(name=("--k", "-k"), help="How many.", validator=Number(gte=1))] = 4,
    collection: Collection = "documents",
    as_json: Json = False,
) -> None:
    """The documents nearest to a text, or what there is."""
    from exprag.bank import Bank
    from exprag.bank.documents.collection import Documents

    store = Documents(Bank.open(bank), collection)
    if not text:
        sources = Counter(str(document.metadata.get("source", "(none)")) for document in store)
        if as_json:
            write_json(sources)
            return
        for source, count in sorted(sources.items()):
            say(f"{count:5} {source}")
        say(f"{len(store)} documents.")
        return
    hits = store.search(text, k)
    if as_json:
        rows = [{"id": h.document.id, "score": h.score, "text": h.document.page_content, **h.document.metadata} for h in hits]
        write_json(rows)
        return
    table = Table("score", "id", "text")
    for hit in hits:
        table.add_row(f"{hit.score:.4g}", plain(str(hit.document.id)), plain(hit.document.page_content[:200]))
    console().print(table if hits else "Nothing found.")
