"""The model contract: LangChain's `BaseChatModel`, made by a factory from what a spec says.

A spec is `kind[:name][?option=value&…]`. The kind is what a plugin registers with the hook `register_models`; its factory is
called with the name and the options, `factory(name, **options)`, or without a name where the kind takes none. It gives any chat
model of LangChain's, and does the heavy imports.

Options   A keyword parameter for each, with a default and an annotation: values in a spec are text, and are converted to the
          annotated type (`none` is None, `{…}` and `[…]` are JSON). A factory with `**options` takes any name; its values are
          JSON where they can be read as that, else text. Credentials in options are never saved (`exprag.models.credentials`).
Errors    ModelError where a package, a file, a server or a key is missing, ConfigError for options that do not go together,
          each with the cure. What a call raises later becomes a ModelError with the server's reason.
Answers   `usage_metadata`, where tokens are known; `response_metadata["finish_reason"]`: "length" where the answer was cut off;
          reasoning apart from the text in `additional_kwargs["reasoning_content"]` or as content blocks; `stop` honoured.
Async     `ainvoke` must work: LangChain's default runs `_generate` in a thread.

Threads   A run may call one model from many threads at once (`--concurrency`). A factory says in an attribute `concurrency`
          how many episodes share one model by default: above 1 for weights that a process should hold once. Where it says
          nothing, each of a run's workers has a model, which its episodes share.

Optional attributes that are used where a model has them:

tokenizer           counts the tokens of the memory block and of budgets
timeout             seconds for one attempt (or `request_timeout`), with `max_retries`: a call is given up after them
adapter             the folder of an adapter, whose card says how it was trained
with_style(style)   gives the model for an agent of this style: for one that writes and reads turns itself, and is told no form
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


class ModelFactory(Protocol):
    """What `register_models` registers: gives the chat model of a name, with the options of the spec."""

    def __call__(self, name: str, /, **options: Any) -> BaseChatModel: ...
