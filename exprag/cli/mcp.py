"""`exprag mcp`: a bank as an MCP server."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from exprag.cli.output import console
from exprag.cli.words import place


def mcp(
    bank: Annotated[str, Parameter(help="Folder, or a URI such as s3://bucket/bank.", converter=place, n_tokens=1)],
    /,
    *,
    write: Annotated[bool, Parameter(help="Let clients record outcomes; without it the bank is only read.")] = False,
    http: Annotated[
        int | None,
        Parameter(help="Serve HTTP at this port of 127.0.0.1, instead of stdio.", validator=Number(gte=1, lte=65535)),
    ] = None,
    formatter: Annotated[str, Parameter(help="How an episode is written.")] = "chat_json",
) -> None:
    """Serve a bank to agents of any program over MCP: search, show and, with --write, record an outcome."""
    from exprag.integrations.mcp_server import serve

    if http is not None:
        console(stderr=True).print(f"http://127.0.0.1:{http}/mcp serves {bank}; Ctrl-C ends it.", markup=False)
    serve(bank, write=write, port=http, formatter=formatter)
