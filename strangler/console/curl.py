"""A kept request as a command for a shell. Pure.

The target comes from whoever sent it: nothing in it may end the word that it stands in, nor reach a terminal as
anything but text. So what is not printable ASCII is percent-encoded, byte for byte as it came, and the rest is quoted.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from strangler.compare import MARK, printable
from strangler.evidence import RequestText
from strangler.evidence.observation import TARGET_LIMIT
from strangler.routes import SAFE_METHODS, Address, Route

#: Hosts to listen on that mean every address, and the one to ask them at.
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
#: What curl would take for a pattern of several URLs.
_GLOB: Final = re.compile(r"[\[\]{}]")
_DOTS: Final = re.compile(r"/\.\.?(?:[/?]|$)")


def request_text(method: str, target: str, base: str, route: Route | None) -> RequestText:
    """The request as a curl command to the listener at `base` (`http://127.0.0.1:8080`), and what to know of it.

    `route` is the one that it came to, for what it claims beside the path; None when it is gone.
    """
    return {
        "curl": curl(method, target, base, _claimed(route)),
        "note": " ".join(_notes(method, target, route)),
    }


def curl(method: str, target: str, base: str, headers: Iterable[tuple[str, str]] = ()) -> str:
    """The command in one line. Marks of redaction stay in the target as they are."""
    words = ["curl"]
    if method == "HEAD":
        words.append("--head")  # -X HEAD would wait for a body
    elif method != "GET":
        words += ["-X", shlex.quote(printable(method))]
    for name, value in headers:
        words += ["-H", shlex.quote(printable(f"{name}: {value}", 8 * 1024))]
    sent = _sendable(target)
    if _GLOB.search(sent):
        words.append("--globoff")
    if _DOTS.search(sent):
        words.append("--path-as-is")
    if sent.startswith("/") and "#" not in sent:
        words.append(_quoted(base + sent))
    else:  # an URL cannot carry it
        words += ["--request-target", _quoted(sent), _quoted(f"{base}/")]
    return " ".join(words)


def base_address(listen: Address, *, tls: bool) -> str:
    """Where callers come in, as the beginning of a URL."""
    host = _ANY.get(listen.host)
    return f"{'https' if tls else 'http'}://{listen if host is None else f'{host}:{listen.port}'}"


def _claimed(route: Route | None) -> list[tuple[str, str]]:
    """The headers without which the request would not come to the route."""
    if route is None:
        return []
    host = route.match.host
    return [*([("Host", host)] if host and not host.startswith("*") else []), *route.match.headers]


def _notes(method: str, target: str, route: Route | None) -> Iterable[str]:
    marks = list(dict.fromkeys(MARK.findall(target)))
    if marks:
        yield f"Redacted when it was kept, write the values in again: {', '.join(marks)}."
    if len(target) >= TARGET_LIMIT:
        yield f"Only the first {TARGET_LIMIT} characters of the target are kept."
    if method not in SAFE_METHODS:
        yield f"{printable(method)} may change something, and its body is never kept."
    if route is not None and route.match.host and route.match.host.startswith("*"):
        yield f"The route claims hosts like {route.match.host}: say which with -H 'Host: ...'."
    yield "Headers of callers are never kept: add with -H what the service asks for."


def _sendable(target: str) -> str:
    marks = MARK.findall(target)
    parts = [_encoded(part) for part in MARK.split(target)]
    return "".join(part + mark for part, mark in zip(parts, [*marks, ""], strict=True))


def _encoded(text: str) -> str:
    return "".join(
        character
        if "!" <= character <= "~"
        else quote(character.encode("latin-1" if character <= "\xff" else "utf-8", "surrogatepass"), safe="")
        for character in text
    )


def _quoted(text: str) -> str:
    """Always in quotes, so that the word looks the same whatever is in it."""
    quoted = shlex.quote(text)
    return quoted if quoted.startswith("'") else f"'{quoted}'"
