"""``kcx extract``: entities, relations and events out of text."""

from kcx_jax.cli.extract.command import command

__all__ = ["command"]
