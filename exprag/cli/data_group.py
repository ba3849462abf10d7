"""`exprag data`: all commands of the group. Each module adds its own to `app`."""

from exprag.cli import data_export, data_show  # noqa: F401
from exprag.cli.data import app

__all__ = ["app"]
