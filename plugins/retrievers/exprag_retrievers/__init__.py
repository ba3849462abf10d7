"""The built-in query strategies and selectors."""

from exprag import hookimpl
from exprag.hookspecs import Register

STRATEGIES = {
    "task": ("TaskStrategy", "static: query and key are the task description, asked once (the paper's default)"),
    "trajectory": ("TrajectoryStrategy", "dynamic: the episode so far against whole trajectories, asked at every step"),
    "task_and_observation": ("TaskAndObservationStrategy", "dynamic: the task and what is observed now"),
    "last_observation": ("LastObservationStrategy", "dynamic: what is observed now, whatever the task"),
    "state": ("StateStrategy", "dynamic: goal, place and inventory, asked when they change"),
    "step": ("ByStepStrategy", "dynamic: the moment against single steps; recalls a window round the best one"),
}
SELECTORS = {
    "top_k": ("TopK", "the k nearest, nearest first"),
    "mmr": ("MaximalMarginalRelevance", "near to the query and unlike each other"),
    "success_weighted": ("SuccessWeighted", "similarity times utility, learned from the outcomes of earlier runs (MemRL)"),
    "successes": ("Successes", "the nearest that reached the goal"),
    "failures": ("Failures", "the nearest that missed the goal"),
    "mixture": ("Mixture", "a set share of successes, the rest failures"),
    "type_quota": ("TypeQuota", "the nearest, at most `per_type` of each task type"),
    "deduplicated": ("Deduplicated", "the nearest, near-duplicates left out"),
    "rerank": ("Rerank", "a chat model reads the candidates and chooses; option `model` names it"),
    "cross_encoder": ("CrossEncoderRerank", "the nearest by a cross-encoder, which reads task and candidate together"),
}
REQUIRES = {"cross_encoder": ("sentence_transformers",)}


@hookimpl
def register_query_strategies(register: Register) -> None:
    for name, (attribute, description) in STRATEGIES.items():
        register(name, f"exprag_retrievers.strategies:{attribute}", description=description)


@hookimpl
def register_selectors(register: Register) -> None:
    for name, (attribute, description) in SELECTORS.items():
        requires = REQUIRES.get(name, ())
        factory = f"exprag_retrievers.selectors:{attribute}"
        register(name, factory, description=description, requires=requires, extra="hf" if requires else "")
