"""The built-in trace formats, in the order in which they are tried."""

from exprag import hookimpl
from exprag.hookspecs import Register

FORMATS = {
    "exprag": ("own:Own", "exprag's own records, one a line; read and written"),
    "atif": ("atif:Atif", "Agent Trajectory Interchange Format, 1.0 to 1.8; read and written"),
    "verifiers": ("verifiers:Verifiers", "traces.jsonl and results.jsonl of Prime Intellect's verifiers; read"),
    "langgraph": ("checkpoints:Checkpoints", "threads of a SQLite file of LangGraph checkpoints; read"),
    "sharegpt": ("sharegpt:ShareGpt", "`conversations` of AgentInstruct, AgentTraj, ETO; read"),
    "openai": ("openai_messages:OpenAiMessages", "`messages` with tool calls; read and written"),
    "pairs": ("pairs:Pairs", "lists of observations and actions; read"),
    "react": ("react:React", "transcripts with Thought, Action, Observation; read"),
}


@hookimpl
def register_trace_formats(register: Register) -> None:
    for name, (place, description) in FORMATS.items():
        register(name, f"exprag_traces.{place}", description=description)
