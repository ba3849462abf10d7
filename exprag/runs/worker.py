"""A worker's process: it plays the episodes that its parent names, and ends with its parent.

It is run as a script, so that it watches its parent before anything is imported. The two talk in lines, a word and JSON:

    parent    setup {role, config, folder, path, main}, then play TASK for each episode, leave at the end
    worker    ready where its player is made; call NAME when a call of the environment begins, call "" when it is over;
              episode {task, episode} with the task's key; stop {type, message, cure} for an error that would fail every episode

With a `concurrency` above 1 it plays the episodes in threads, and its environments are in processes that limit their calls
themselves. In the role "environments" it is such a process (`exprag.environments.host`).

What plugins print goes to stderr. When the parent is gone, the whole process group is killed: what an environment started too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, BinaryIO

Answer = Callable[[str, Any], None]
SWITCH_SECONDS = 0.0005
"""After which Python lets another thread go on: most episodes wait for a model or an environment, and go on the sooner."""


def main() -> None:
    requests, answers = _take_streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it was blocked until here
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    inbox: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
    lock = threading.Lock()

    def answer(word: str, value: Any) -> None:
        with lock:
            answers.write(f"{word} {json.dumps(value)}\n".encode("ascii"))

    _, setup = inbox.get()
    sys.path[:] = setup["path"]
    if setup["main"]:  # a class of the user's own script is named
        from multiprocessing import spawn

        spawn.prepare({"init_main_from_path": setup["main"]})
    if setup["role"] == "environments":
        from exprag.environments.host import serve

        serve(setup, inbox, answer)
    else:
        _serve(setup, inbox, answer)


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """The streams to and from the parent, moved away from the numbers at which plugins read and print."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    answers.write(b"\n")  # ends what the start of Python may have printed
    return requests, answers


def _listen(requests: BinaryIO, inbox: SimpleQueue[tuple[str, Any]]) -> None:
    for line in requests:
        word, _, text = line.decode("ascii").partition(" ")
        inbox.put((word, json.loads(text)))
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _serve(setup: dict[str, Any], inbox: SimpleQueue[tuple[str, Any]], answer: Answer) -> None:
    from exprag.contracts.environment import watch_calls
    from exprag.errors import ExpragError
    from exprag.logs import logged_in
    from exprag.runs.config import RunConfig
    from exprag.runs.player import make_player, play
    from exprag.trajectory import Task

    config = RunConfig.make(**setup["config"])
    with logged_in(setup["folder"]):
        try:
            player = make_player(config, setup["folder"])
            answer("ready", None)
            side_by_side = (config.concurrency or 1) > 1
            if side_by_side:
                sys.setswitchinterval(SWITCH_SECONDS)
            else:
                watch_calls(lambda call: answer("call", call))

            def finish(task: Task) -> None:
                episode = play(player, config, task, alone=not side_by_side)
                answer("episode", {"task": task.key, "episode": episode.to_json()})

            while (request := inbox.get())[0] == "play":
                task = Task.from_dict(request[1])
                if side_by_side:
                    threading.Thread(target=finish, args=(task,), daemon=True, name=f"exprag-episode {task.id}").start()
                else:
                    finish(task)
        except ExpragError as error:
            answer("stop", {"type": type(error).__name__, "message": error.message, "cure": error.cure})
        except BaseException as error:  # noqa: BLE001 - a plugin's, while it is made: the parent tells it
            answer("stop", {"type": "RunError", **_unforeseen(error)})
        else:
            watch_calls(None)
            player.close()


def _unforeseen(error: BaseException) -> dict[str, str]:
    import logging

    from exprag.errors import describe

    logging.getLogger("exprag.runs").warning("a worker could not be set up", exc_info=error)
    return {"message": f"A worker could not be set up: {describe(error)}", "cure": "Its traceback is in log.txt."}


if __name__ == "__main__":
    main()
