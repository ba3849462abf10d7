"""The built-in distillers: what is written from finished episodes."""

from exprag import hookimpl
from exprag.hookspecs import Register

DISTILLERS = {
    "feedback": ("feedback:Feedback", "hints from failed runs and the environment's own feedback; no model"),
    "expert": ("expert:Expert", "hints from what the expert does where a failed run parts from its own; no model"),
    "chat": ("chat:Chat", "hints that a chat model writes from each failed run (hint distillation, stage B)"),
    "workflows": ("workflows:Workflows", "routines of successful runs (Agent Workflow Memory); no model"),
    "insights": ("insights:Insights", "rules from failures beside successes, edited by a chat model (ExpeL)"),
    "strategies": ("strategies:Strategies", "strategy items of won and lost runs, by a chat model (ReasoningBank)"),
    "playbook": ("playbook:Playbook", "bullets that grow run by run, edited by a chat model (ACE)"),
    "cheat_sheet": ("cheat_sheet:CheatSheet", "one text for a type, written again after each run (Dynamic Cheatsheet)"),
}


@hookimpl
def register_distillers(register: Register) -> None:
    for name, (place, description) in DISTILLERS.items():
        register(name, f"exprag_distillers.{place}", description=description)
