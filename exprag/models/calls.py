"""One call of a chat model, guarded: a time limit for all of it, patience with a server that is pressed too hard
(`exprag.models.pressure`), texts that any server takes, the reason of a failure."""

from __future__ import annotations

import contextvars
import re
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from exprag.errors import ExpragError, ModelError, describe
from exprag.models.pressure import TRIES, pressure_on
from exprag.text import encodable, redact

T = TypeVar("T")
guarded: contextvars.ContextVar[bool] = contextvars.ContextVar("guarded", default=False)
"""Whether a call is made again here where the server refuses it: then a client need not do so."""
BODY = 300  # characters of a server's answer in an error
_TIMEOUTS = ("request_timeout", "timeout", "default_request_timeout")
_BACKOFF = 8.0  # seconds that SDKs wait at most before a retry


def call_guarded(model: BaseChatModel, call: Callable[[list[BaseMessage]], T], messages: Sequence[BaseMessage]) -> T:
    """What `call` gives for the messages; it asks the model. Raises ModelError for whatever it raises.

    A model with a timeout is given up after it, once per attempt, even where the server sends a byte now and then for ever:
    the timeouts of HTTP clients are per read. A server that says that it has too many calls is asked again later, unless the
    model's `max_retries` is 0.
    """
    prompt = [_sendable(message) for message in messages]
    pressure = pressure_on(model)
    limit = time_limit(model) or pressure.seconds
    token = guarded.set(True)
    try:
        tries = 1 if getattr(model, "max_retries", None) == 0 else TRIES
        return pressure.call(lambda: call(prompt) if limit is None else within(limit, lambda: call(prompt)), tries)
    except ExpragError:
        raise
    except Exception as error:
        reason, cure = failure(error)
        raise ModelError(f"The model failed: {reason}", cure=cure) from error
    finally:
        guarded.reset(token)


def time_limit(model: BaseChatModel) -> float | None:
    """Seconds that one call may take with all its retries; None where the model has no timeout."""
    values = (getattr(model, name, None) for name in _TIMEOUTS)
    timeout = next((value for value in values if isinstance(value, int | float) and value > 0), None)
    retries = getattr(model, "max_retries", 0)
    retries = retries if isinstance(retries, int) and retries > 0 else 0
    return None if timeout is None else timeout * (1 + retries) + _BACKOFF * retries + 1


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` gives, in this many seconds. Raises ModelError after them; the call is then left alone in its thread."""
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True, name="exprag-model-call")
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise ModelError(
            f"The model did not answer within {seconds:.0f} s.", cure="Look at the server, or allow more: ?timeout=SECONDS."
        )
    return results[0]


def failure(error: BaseException) -> tuple[str, str]:
    """(why a call failed in the server's own words, what may help), without credentials."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    if ours := next((each for each in chain if isinstance(each, ExpragError)), None):
        return redact(str(ours)), ""
    body = next((text for each in chain if (text := _body(each))), "")
    if body:
        status = getattr(getattr(error, "response", None), "status_code", "")
        reason = f"{type(error).__name__} {status}: {body}".replace(" :", ":")
    else:
        reason = describe(error)
        if len(chain) > 1 and str(chain[-1]):
            reason = f"{reason} {describe(chain[-1])}"
    refused = re.findall(r"\b(temperature|seed)\b", reason)
    options = "&".join(f"{name}=none" for name in dict.fromkeys(refused))
    return redact(reason), f"If the server refuses it, leave it out: ?{options}." if options else ""


def _body(error: BaseException) -> str:
    """The first characters of what the server answered, in one line; "" where it did not."""
    response = getattr(error, "response", None)
    try:
        text = response.text if response is not None else ""
    except Exception:  # noqa: BLE001 - a stream that was not read, or an object of another kind
        return ""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return line if len(line) <= BODY else line[: BODY - 1] + "…"


def _sendable(message: BaseMessage) -> BaseMessage:
    """The message in UTF-8: lone surrogates, which records keep, would make every client fail."""
    content = message.content
    if not isinstance(content, str) or (text := encodable(content)) == content:
        return message
    return message.model_copy(update={"content": text})
