"""Runs in the formats of others: Inspect's logs, and a folder that Hugging Face's `datasets` reads."""

from exprag.export.hf_dataset import write_hf_dataset
from exprag.export.inspect_log import inspect_log, write_inspect_log

__all__ = ["inspect_log", "write_hf_dataset", "write_inspect_log"]
