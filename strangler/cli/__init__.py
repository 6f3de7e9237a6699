"""The `strangler` command: one thin file per sub-command, exit codes as docs/commands.md fixes them."""

from strangler.cli.main import commands, main, run

__all__ = ["commands", "main", "run"]
