"""How callers are let in: the options of the command line."""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from legacy_monolith import token_keys
from legacy_monolith.token_keys import KeyFile, KeySource


@dataclass(frozen=True, slots=True)
class Access:
    """The keys of tokens, without which none are issued, and whether reading what is somebody's needs a login."""

    keys: KeySource | None = None
    require_login: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Offer the options."""
    parser.add_argument(
        "--token-keys",
        type=Path,
        metavar="FILE",
        help="issue tokens for the services, signed with these keys (made when there are none)",
    )
    parser.add_argument(
        "--require-login",
        action="store_true",
        help="show what belongs to an account to that account only, and take events from the shop itself only",
    )


def access_of(options: argparse.Namespace) -> Access:
    """Read the options that `add_options` has offered. Raises UnusableKeys."""
    return Access(_keys(options.token_keys), options.require_login)


def _keys(path: Path | None) -> KeyFile | None:
    if path is None:
        return None
    if not path.exists():
        token_keys.rotate(path, int(time.time()))
    return KeyFile(path)
