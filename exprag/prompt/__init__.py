"""What a model reads: the prompt, the memory block in it, and the working memory of a long episode."""

from exprag.prompt.history import History
from exprag.prompt.prompt import PLACEMENTS, Prompt, PromptView, read_messages

__all__ = ["PLACEMENTS", "History", "Prompt", "PromptView", "read_messages"]
