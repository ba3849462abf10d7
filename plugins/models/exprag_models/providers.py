"""Chat models of LangChain's providers, through its `init_chat_model`: `anthropic:<model>`, `ollama:<model>`, …

Options are those of the provider's own class. Keys are read from the environment variables that the provider names
(ANTHROPIC_API_KEY, …). Imports nothing heavy.
"""

from __future__ import annotations

from typing import Any

from exprag.errors import ConfigError, ModelError, describe
from exprag.models.pressure import pressure_on

# The providers of `init_chat_model` in langchain 1.5, and the package that each needs; `openai` has a loader of its own.
PROVIDERS = {
    "anthropic": "langchain_anthropic",
    "anthropic_bedrock": "langchain_aws",
    "azure_ai": "langchain_azure_ai",
    "azure_openai": "langchain_openai",
    "baseten": "langchain_baseten",
    "bedrock": "langchain_aws",
    "bedrock_converse": "langchain_aws",
    "bedrock_mantle_anthropic": "langchain_aws",
    "bedrock_mantle_openai": "langchain_aws",
    "cohere": "langchain_cohere",
    "deepseek": "langchain_deepseek",
    "fireworks": "langchain_fireworks",
    "google_anthropic_vertex": "langchain_google_vertexai",
    "google_genai": "langchain_google_genai",
    "google_vertexai": "langchain_google_vertexai",
    "groq": "langchain_groq",
    "huggingface": "langchain_huggingface",
    "ibm": "langchain_ibm",
    "langsmith": "langchain_openai",
    "litellm": "langchain_litellm",
    "meta": "langchain_meta",
    "mistralai": "langchain_mistralai",
    "nvidia": "langchain_nvidia_ai_endpoints",
    "ollama": "langchain_ollama",
    "openrouter": "langchain_openrouter",
    "perplexity": "langchain_perplexity",
    "together": "langchain_together",
    "upstage": "langchain_upstage",
    "xai": "langchain_xai",
}


def load_provider(
    provider: str, name: str, /, *, temperature: float | None = 0.0, call_timeout: float | None = 600.0, **options: Any
) -> Any:
    """A chat model of one provider. `temperature=none` leaves it out, for models that refuse it; the rest is the class's own.

    call_timeout   seconds that one call may take where the class has no timeout of its own

    Raises ModelError where the provider's package, its key or the model is missing, ConfigError for an option it refuses.
    """
    from langchain.chat_models import init_chat_model
    from pydantic import ValidationError

    settings = options if temperature is None else {"temperature": temperature, **options}
    try:
        model = init_chat_model(name, model_provider=provider, **settings)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"LangChain refuses these settings of '{provider}:{name}': {': '.join(filter(None, [where, first['msg']]))}.",
            cure="Set the key in the environment variable that the provider names, and use the options of its class.",
        ) from error
    except ImportError as error:
        raise ModelError(f"The model '{provider}:{name}' lacks a package: {describe(error)}") from error
    pressure_on(model).seconds = call_timeout
    return model
