"""How orders are placed: the options of the command line, each of which the environment may give as well."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from legacy_monolith.backoff import Backoff
from legacy_monolith.ports import Where
from legacy_monolith.saga_log import Places


@dataclass(frozen=True, slots=True)
class Settings:
    """Where stock and payments are, and how patient we are with them; times are in seconds."""

    places: Places = field(default_factory=Places)
    proxy: str = "http://127.0.0.1:8080"
    backoff: Backoff = field(default_factory=Backoff)
    call_within: float = 5.0
    answer_within: float = 10.0


def add_options(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Offer the options of placing orders. A variable such as SHOP_STOCK gives what no option says."""
    usual = Settings()
    group = parser.add_argument_group(
        "where stock and payments are",
        "An option that is not given is taken from the environment: SHOP_STOCK for --stock, and so on.",
    )
    for name, form, default, words in (
        ("stock", _where, "local", "in this database (local), or in a service behind the proxy (http)"),
        ("payments", _where, "local", "the same for payments"),
        ("proxy", _address, usual.proxy, "where the proxy listens"),
        ("call-within", _seconds, usual.call_within, "how long to wait for the answer to one call"),
        ("retry-for", _seconds, usual.backoff.retry_for, "how long to try to place an order"),
        ("undo-for", _seconds, usual.backoff.undo_for, "how long to try to undo what was done for one"),
        ("answer-within", _seconds, usual.answer_within, "how long a caller waits before the answer is 202"),
    ):
        variable = f"SHOP_{name.replace('-', '_').upper()}"
        group.add_argument(
            f"--{name}",
            type=form,
            # A text, so that what the environment says is held to the same form as what the option says.
            default=environment.get(variable) or str(default),
            metavar={_where: "local|http", _address: "URL", _seconds: "SECONDS"}[form],
            help=f"{words} (default: {default})",
        )


def settings_of(options: argparse.Namespace) -> Settings:
    """Read the options that `add_options` has offered."""
    return Settings(
        places=Places(options.stock, options.payments),
        proxy=options.proxy,
        backoff=Backoff(retry_for=options.retry_for, undo_for=options.undo_for),
        call_within=options.call_within,
        answer_within=options.answer_within,
    )


def _where(text: str) -> Where:
    match text:
        case "local" | "http":
            return text
    raise argparse.ArgumentTypeError(f"{text!r} is neither local nor http")


def _address(text: str) -> str:
    address = text.rstrip("/")
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable or parts.path or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as http://127.0.0.1:8080")
    return address


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, above 0 and at most a day")
    return seconds
