"""A command line that says in one line what is wrong with it."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Wrong use is one line on standard error, and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave."""
        self.exit(2, f"{self.prog}: error: {message} (--help says more)\n")
