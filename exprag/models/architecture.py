"""The class that a base is loaded as: one definition, for training and for serving, so that an adapter's layers have one name."""

from __future__ import annotations

from typing import Any


def language_model_class(config: Any) -> Any:
    """The transformers class that a config names, where it writes text from text; else None.

    A base that sees images too is loaded whole, as its config says: its text-only class may call its layers by other names.
    """
    import transformers

    cls = getattr(transformers, (config.architectures or [""])[0], None)
    return cls if cls is not None and cls.can_generate() and not config.is_encoder_decoder else None
