"""`exprag serve-env`: an environment as an OpenEnv server."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from exprag.cli.output import console
from exprag.cli.words import Set, name_values, plain


def serve_env(
    environment: Annotated[str, Parameter(help="Environment plugin, or an import path module:Class.")],
    /,
    *,
    host: Annotated[str, Parameter(help="Address to listen on; anybody who reaches it may play.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0: a free one.", validator=Number(gte=0, lte=65535))] = 8000,
    split: Annotated[str, Parameter(help="Split that tasks are drawn from; default: the first.")] = "",
    max_steps: Annotated[
        int | None, Parameter(help="Step limit; default: the environment's own.", validator=Number(gte=1))
    ] = None,
    sessions: Annotated[int, Parameter(help="Connections at a time, at most.", validator=Number(gte=1))] = 8,
    admissible: Annotated[bool, Parameter(help="Tell the admissible actions with each observation.")] = False,
    set_: Set = None,
) -> int:
    """Serve an environment to OpenEnv's clients until Ctrl-C."""
    from exprag.integrations.openenv import application

    app = application(
        environment,
        options=name_values(set_),
        split=split,
        max_steps=max_steps,
        sessions=sessions,
        admissible_actions=admissible,
    )
    import uvicorn

    def started(server: Any) -> None:
        address, listening = server.servers[0].sockets[0].getsockname()[:2]
        console().print(plain(f"{environment} is served at http://{address}:{listening} until Ctrl-C."))

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                started(self)

    server = Server(uvicorn.Config(app, host=host, port=port, log_level="warning"))
    server.run()
    return 0 if server.started else 1
