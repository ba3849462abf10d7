"""New plugin packages, written from templates: `exprag new plugin`."""

from exprag.scaffold.generate import new_plugin

__all__ = ["new_plugin"]
