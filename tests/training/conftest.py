from training_fixtures import (  # noqa: F401 - fixtures
    base,
    local_chat,
    marked_tokenizer,
    tokenizer,
    toy_bank,
    toy_dataset,
    toy_episodes,
    trained,
)
