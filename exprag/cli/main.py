"""The `exprag` command: one small module per group of commands, imported when one of them is used.

Exit codes:

    0    done
    1    an error, which is shown on stderr; or a check that failed (audit, validate, doctor), or episodes that ended in errors
    2    a wrong command line: an unknown command or option, a missing or impossible value
    3    a run stopped at its budget; the same command with more continues
    130  interrupted (Ctrl-C); the same command continues

Errors are shown without a traceback unless EXPRAG_TRACEBACK is set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from cyclopts import App, CycloptsError, Parameter

from exprag.errors import ExpragError

COMMANDS = {
    "demo": ("demo:demo", "Collect experience, play with and without it, compare, and write a page."),
    "collect": ("run:collect", "Play the environment's expert over tasks, and keep the episodes as experience."),
    "run": ("run:run", "Play one arm (an agent, with or without a bank) over tasks."),
    "merge": ("merge:merge", "Join the shards of a run into one run directory."),
    "watch": ("watch:watch", "See how a run stands, from another terminal."),
    "matrix": ("matrix:matrix", "Play arms × index states × seeds × tasks of one file, and report on them."),
    "reproduce": ("reproduce:app", "Play a paper's tables again, and print ours beside the paper's."),
    "report": ("report:report", "Compare runs: success, score, steps and tokens, and paired differences."),
    "view": ("view:view", "Write the page on which every episode is read, with its prompts: one file."),
    "export": ("export:export", "Write a run in the format of another tool: Inspect, Hugging Face's datasets."),
    "bank": ("bank_group:app", "The experience bank: make, fill, look into, ask."),
    "data": ("data_group:app", "Training rows from traces: build, look at, count."),
    "mcp": ("mcp:mcp", "Serve a bank to agents of any program over MCP."),
    "audit": ("audit:audit", "Prove that nothing was recalled which the task must not see."),
    "tasks": ("run:tasks", "List the tasks of a split: how many of each type, and their ids."),
    "validate": ("validate:app", "Check a plugin against the contract that the rest of exprag relies on."),
    "train": ("train:train", "Train a LoRA adapter with TRL and PEFT."),
    "distill": ("distill:distill", "Hint distillation: failures become hints, a teacher acts, a student learns."),
    "compare-memories": ("compare_memories:compare_memories", "Compare what several papers write from experience."),
    "stream": ("stream:stream", "Let tasks arrive while the memory grows: learning curve, transfer, forgetting."),
    "hints": ("hints:app", "The hints of a bank: list them, see what they brought, retire those that harm."),
    "select": ("select:select", "Play each checkpoint on sets of tasks and keep the most successful."),
    "curve": ("select:curve", "Draw loss and success against epochs."),
    "models": ("models:app", "Language models to try things with."),
    "serve-env": ("serve_env:serve_env", "Serve an environment to OpenEnv's clients."),
    "plugins": ("plugins:plugins", "List what is installed, and what is missing for the rest."),
    "new": ("new:app", "Start something new from a template."),
    "doctor": ("doctor:doctor", "Check the installation."),
}
"""The commands: the module in exprag/cli/ and the function or group in it, and the line of `exprag --help`."""



def _shown(default: object) -> object:
    """A default as help shows it: none of an option that is off or empty."""
    return None if default in (False, "", ()) else default


app = App(
    name="exprag",
    help="Agents that learn from experience. Set EXPRAG_TRACEBACK=1 to see tracebacks.",
    help_format="plaintext",
    default_parameter=Parameter(negative_iterable=(), negative_bool=(), show_default=_shown),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for _name, (_place, _help) in COMMANDS.items():
    app.command(f"exprag.cli.{_place}", name=_name, help=_help, sort_key=list(COMMANDS).index(_name))
app.register_install_completion_command(help="Install completion for your shell.")


def main(tokens: Sequence[str] | None = None) -> None:
    """Entry point of the console script. Always ends in SystemExit, with the codes above."""
    tokens = sys.argv[1:] if tokens is None else list(tokens)
    sys.exit(_run(tokens))


def _run(tokens: Sequence[str]) -> int:
    from exprag.cli import failures

    debug = os.environ.get("EXPRAG_TRACEBACK", "") not in ("", "0")
    try:
        code = call(tokens)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    except SystemExit as leave:  # of a plugin or a library: no command of ours leaves in this way
        if isinstance(leave.code, int) and leave.code:
            return leave.code
        failures.show("plugin", f"The program was ended by code that the command called: {leave.code or 'exit code 0'}.")
        return 1
    except CycloptsError as error:
        failures.wrong_line(error, COMMANDS)
        return 2
    except BrokenPipeError:  # `exprag … | head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except ExpragError as error:
        if debug:
            raise
        failures.show(error.boundary, error.message, error.cure)
        return 1
    except Exception as error:
        if debug:
            raise
        failures.unexpected(error)
        return 1


def call(tokens: Sequence[str]) -> int:
    """Run one command; returns its exit code, and raises what goes wrong."""
    machine = ("--json" in tokens or "--markdown" in tokens) and "--help" not in tokens and "-h" not in tokens
    if machine:
        from exprag.cli.output import results_only
    from rich.console import Console

    with results_only() if machine else nullcontext():
        result = app(tokens, console=Console(), print_error=False, exit_on_error=False, verbose=False)
    return result if isinstance(result, int) else 0
