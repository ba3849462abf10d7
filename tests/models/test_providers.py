"""LangChain's providers as kinds of model: all of them, through its own `init_chat_model`, each with the package it needs."""

from __future__ import annotations

from typing import Any

import pytest

from exprag.errors import ConfigError, ModelError
from exprag.models import load_model
from exprag.plugins import registry
from exprag_models.providers import PROVIDERS, load_provider


def test_the_list_is_that_of_the_installed_langchain() -> None:
    base = pytest.importorskip("langchain.chat_models.base")
    theirs = {name: module.partition(".")[0] for name, (module, *_) in base._BUILTIN_PROVIDERS.items() if name != "openai"}
    assert theirs == PROVIDERS
    assert set(PROVIDERS) <= set(registry().names("model"))


@pytest.mark.parametrize("spec", ["anthropic:m", "ollama:m", "google_genai:m", "mistralai:m"])
def test_a_missing_package_is_named_with_its_command(spec: str) -> None:
    package = PROVIDERS[spec.partition(":")[0]]
    try:
        __import__(package)
    except ImportError:
        with pytest.raises(ModelError, match=f"pip install .*{package.replace('_', '-')}"):
            load_model(spec)


def test_options_are_those_of_the_providers_class() -> None:
    pytest.importorskip("langchain_openai")
    model: Any = load_provider("openai", "m", api_key="k", max_tokens=7)
    assert (model.model_name, model.temperature, model.max_tokens) == ("m", 0.0, 7)
    assert load_provider("openai", "m", api_key="k", temperature=None).temperature is None


def test_settings_that_the_provider_refuses_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    for name in ("OPENAI_API_VERSION", "AZURE_OPENAI_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelError, match="'azure_openai:m' could not be made"):
        load_model("azure_openai:m")
    with pytest.raises(ConfigError, match="refuses these settings"):
        load_model('azure_openai:m?temperature=0.5&max_retries={"a": 1}')
