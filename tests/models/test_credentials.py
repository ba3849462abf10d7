"""Credentials in a model spec: saved nowhere, shown nowhere, and given by the environment variable that the saved spec names."""

from __future__ import annotations

from typing import Any

import pytest

from exprag.errors import ConfigError, ModelError
from exprag.models import hide_credentials, load_model, public_spec
from exprag.text import HIDDEN, redact

SECRET = "hunter2-of-the-test"


@pytest.mark.parametrize(
    ("spec", "public"),
    [
        (
            f"openai:m?base_url=http://user:{SECRET}@host/v1&seed=1",
            "openai:m?base_url=http://user:$EXPRAG_MODEL_PASSWORD@host/v1&seed=1",
        ),
        (f"openai:m?api_key={SECRET}", "openai:m?api_key=$EXPRAG_MODEL_API_KEY"),
        (f"anthropic:m?anthropic_api_key={SECRET}", "anthropic:m?anthropic_api_key=$EXPRAG_MODEL_ANTHROPIC_API_KEY"),
        (
            f'openai:m?extra_body={{"api_key": "{SECRET}"}}&base_url=http://h/v1',
            "openai:m?extra_body=$EXPRAG_MODEL_EXTRA_BODY&base_url=http://h/v1",
        ),
        ("openai:m?api_key=$EXPRAG_MODEL_MINE", "openai:m?api_key=$EXPRAG_MODEL_MINE"),
        ("hf:./folder?max_new_tokens=3", "hf:./folder?max_new_tokens=3"),
        ("case-based", "case-based"),
    ],
)
def test_a_saved_spec_says_where_to_give_them(spec: str, public: str) -> None:
    assert public_spec(spec) == public
    assert public_spec(public) == public


def test_they_are_read_from_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = f"openai:m?base_url=http://user:{SECRET}@host/v1&api_key=other-{SECRET}"
    for name in ("EXPRAG_MODEL_PASSWORD", "EXPRAG_MODEL_API_KEY"):
        monkeypatch.setenv(name, "to be replaced")
    saved = hide_credentials(spec)
    assert SECRET not in saved
    model: Any = load_model(saved)
    assert model.openai_api_base == f"http://user:{SECRET}@host/v1"
    assert model.openai_api_key.get_secret_value() == f"other-{SECRET}"
    monkeypatch.delenv("EXPRAG_MODEL_API_KEY")
    with pytest.raises(ModelError, match="api_key from the environment variable EXPRAG_MODEL_API_KEY, which is not set"):
        load_model(saved)


def test_a_configuration_reads_no_other_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    model: Any = load_model("openai:m?base_url=http://host/v1&api_key=$AWS_SECRET_ACCESS_KEY")
    assert model.openai_api_key.get_secret_value() == "$AWS_SECRET_ACCESS_KEY"


def test_no_error_shows_them() -> None:
    for spec in (f"openi:m?api_key={SECRET}", f"openai:m?api_key={SECRET}&sed=1", f"hf:x?api_key={SECRET}"):
        with pytest.raises(ConfigError) as caught:
            load_model(spec)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{SECRET}@host/v1 refused",
        f"Incorrect API key: api_key={SECRET}.",
        f"Authorization: Bearer {SECRET}",
        f'{{"api_key": "{SECRET}"}}',
        "Incorrect API key provided: sk-abcdefghijklmnopqrst",
    ],
)
def test_texts_are_redacted(text: str) -> None:
    assert HIDDEN in redact(text)
    assert SECRET not in redact(text)
    assert "sk-abc" not in redact(text)


def test_the_value_of_a_key_variable_is_redacted_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "words of a key")
    assert redact("it said: words of a key!") == f"it said: {HIDDEN}!"
    assert redact("go to desk 1: nothing happens") == "go to desk 1: nothing happens"
