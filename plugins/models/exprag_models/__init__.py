"""The built-in chat models: the case-based baseline, transformers in this process, OpenAI-compatible servers, and LangChain's
other providers."""

from functools import partial

from exprag import hookimpl
from exprag.hookspecs import Register
from exprag_models.providers import PROVIDERS, load_provider

CASE_BASED = "exprag_models.case_based:load"


@hookimpl
def register_models(register: Register) -> None:
    register("case-based", CASE_BASED, description="adapts the recalled episode: a baseline without a model, offline")
    register("recall", CASE_BASED, description="the name that configurations of version 0.1 have for case-based")
    register(
        "hf",
        "exprag_models.hf:load",
        description="hf:<model id or folder>: transformers in this process; a LoRA adapter folder too",
        requires=("torch", "transformers", "langchain_huggingface"),
        extra="hf",
    )
    register(
        "openai",
        "exprag_models.openai_compatible:load",
        description="openai:<model>: any OpenAI-compatible server, ?base_url=http://localhost:8000/v1",
        requires=("langchain_openai",),
        extra="openai",
    )
    for name, package in PROVIDERS.items():
        register(
            name,
            partial(load_provider, name),
            description=f"{name}:<model>: LangChain's {name.replace('_', ' ')} models",
            requires=("langchain", package),
        )
