"""The texts of routes.yaml that stand for something: addresses, URLs, identities, headers. ValueError says why not."""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from strangler.routes.model import Address, IdentitySource, ShadowWrites

#: RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_ADDRESS = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*):([0-9]{1,5})")
_HOST_HEADER = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]+")
_PATH = re.compile(r"/[\x21-\x22\x24-\x7e]*")
#: RFC 1035 section 2.3.4. Looking up what breaks these is no OSError in Python but a UnicodeError.
_LONGEST_LABEL, _LONGEST_HOST = 63, 253
#: NUL ends a path in C, the others end a line, and a lone surrogate is no text at all.
_NO_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_PATH = 4095  # bytes; PATH_MAX of Linux, less the NUL


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Methods an HTTP parser lets through (llhttp's table), without CONNECT, whose target is no path.
METHODS = _words(
    "GET HEAD POST PUT DELETE PATCH OPTIONS TRACE QUERY COPY LOCK MKCOL MOVE PROPFIND PROPPATCH "
    "SEARCH UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE "
    "UNSUBSCRIBE PURGE MKCALENDAR LINK UNLINK SOURCE"
)

#: RFC 9110 sections 7.6.1, 8.6 and 10.1.1: what belongs to one connection or frames a message is not for editing.
CONNECTION_HEADERS = _words(
    "connection content-length expect keep-alive proxy-authenticate proxy-authorization "
    "proxy-connection te trailer transfer-encoding upgrade"
)

#: What the proxy alone says: set by a route, they would make a request what it is not.
OWN_HEADERS = _words("strangler-side strangler-shadow strangler_shadow")

#: RFC 9110 sections 4.2.1 and 4.2.2.
_PORTS = {"http": 80, "https": 443}

_SHADOW_WRITES: dict[str, ShadowWrites] = {"never": "never", "marked": "marked"}

IDENTITY_KINDS = ("header", "cookie", "client-address")


def parse_address(text: str) -> Address:
    """`127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError("write a host and a port, such as 127.0.0.1:8080 or [::1]:8080")
    return Address(_checked_host(found[1]), _checked_port(int(found[2]), lowest=0))


def _checked_host(text: str) -> str:
    if text.startswith("["):
        return str(IPv6Address(text[1:-1]))
    labels = text.split(".")
    if not _HOST.fullmatch(text) or not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        raise ValueError("this is not the name or address of a host")
    if len(text) > _LONGEST_HOST:
        raise ValueError(f"the name of a host is {_LONGEST_HOST} characters at most")
    return text


def _checked_port(port: int, lowest: int) -> int:
    if not lowest <= port <= 65535:
        raise ValueError(f"a port is a number from {lowest} to 65535")
    return port


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, a host and a port (RFC 9110 section 4.3.1). `secure` is https."""

    secure: bool
    address: Address


def parse_upstream_url(text: str) -> Origin:
    """`http://127.0.0.1:8001` or `https://payments.internal`: scheme, host and perhaps a port, nothing else."""
    if not text.isascii() or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError("this is not a URL")
    url = urlsplit(text)
    if url.scheme not in _PORTS or not url.netloc:
        raise ValueError("write a URL such as http://127.0.0.1:8001 or https://payments.internal")
    if "@" in url.netloc:
        raise ValueError("a user or a password cannot stand in the URL")
    if url.path not in {"", "/"}:
        raise ValueError("a path cannot stand in the URL; `rewrite` changes the path of a route")
    if "?" in text or "#" in text:
        raise ValueError("a query or a fragment cannot stand in the URL")
    port = _PORTS[url.scheme] if url.port is None else url.port
    host = url.hostname or ""
    host = _checked_host(f"[{host}]" if ":" in host else host)
    return Origin(url.scheme == "https", Address(host, _checked_port(port, lowest=1)))


def parse_server_name(text: str) -> str:
    """The name or the address that a certificate is for, in lower case."""
    if "%" not in text:  # the zone of an address is this machine's own affair (RFC 4007 section 11.2)
        with suppress(ValueError):
            return str(ip_address(text))
    if ":" in text:
        raise ValueError("write a name or an address alone, without a port or brackets")
    return _checked_host(text.lower())


def parse_file(text: str, folder: str) -> str:
    """The path of a file; a relative one begins in `folder`."""
    if _NO_PATH.search(text):
        raise ValueError("a path cannot hold control characters such as NUL or a line's end")
    path = posixpath.join(folder, text)
    if len(path.encode("utf-8", "surrogateescape")) > _LONGEST_PATH:  # the folder may be no UTF-8 (PEP 383)
        raise ValueError(f"a path is {_LONGEST_PATH} bytes at most")
    if posixpath.basename(path) in {"", ".", ".."}:
        raise ValueError("this is the path of a folder; write that of a file")
    return path


def parse_access_log(text: str, folder: str) -> str:
    """`stdout`, or the path of a file."""
    if text == "stdout":
        return text
    if text.lower() in {"stdout", "stderr", "syslog", "on", "yes", "true"}:
        raise ValueError(f"write stdout, none or the path of a file; one that is called so is ./{text}")
    return parse_file(text, folder)


def parse_flag(text: str) -> bool:
    """`true` or `false`."""
    if text not in {"true", "false"}:
        raise ValueError("write true or false")
    return text == "true"


def parse_health_path(text: str) -> str:
    """The path of a health check, perhaps with a query."""
    if not _PATH.fullmatch(text):
        raise ValueError("write a path such as /healthz")
    return text


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """`10.0.0.0/8` or `::1`."""
    try:
        return ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(
                f"bits are set beyond the prefix; write {ip_network(text, strict=False)}"
            ) from None
        raise ValueError("write a network such as 10.0.0.0/8 or an address such as ::1") from None


def parse_identity(text: str) -> IdentitySource:
    """`header:NAME`, `cookie:NAME` or `client-address`."""
    kind, colon, name = text.partition(":")
    if kind == "client-address" and not colon:
        return IdentitySource("client-address")
    if kind == "header" and colon:
        return IdentitySource("header", parse_header_name(name).lower())
    if kind == "cookie" and colon:
        if not _TOKEN.fullmatch(name):
            raise ValueError("this is not the name of a cookie (RFC 6265 section 4.1.1)")
        return IdentitySource("cookie", name)
    raise ValueError("write header:NAME, cookie:NAME or client-address")


def parse_header_name(text: str) -> str:
    """The name of a header, in the case it is written in."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("this is not the name of a header (RFC 9110 section 5.6.2)")
    return text


def parse_editable_header(text: str) -> str:
    """The name of a header that `headers.set` may set."""
    name = parse_header_name(text).lower()
    if name in CONNECTION_HEADERS:
        raise ValueError("this header belongs to the connection or frames the message; it cannot be edited")
    if name in OWN_HEADERS:
        raise ValueError("this header is the proxy's own; it cannot be edited")
    return text


def parse_removable_header(text: str) -> str:
    """The name of a header that `headers.remove` may remove."""
    if parse_editable_header(text).lower() == "host":
        raise ValueError("a request needs its Host (RFC 9112 section 3.2); it can be set, not removed")
    return text


def parse_shadow_writes(text: str) -> ShadowWrites:
    """`never` or `marked`."""
    if text not in _SHADOW_WRITES:
        raise ValueError("write never or marked")
    return _SHADOW_WRITES[text]


def parse_header_value(text: str) -> str:
    """The value of a header, without the white space around it (RFC 9110 section 5.5)."""
    if _CONTROL.search(text):
        raise ValueError("a header cannot hold control characters such as CR, LF or NUL")
    return text.strip(" \t")


def parse_host_header(text: str) -> str:
    """The value of a Host header (RFC 9110 section 7.2)."""
    if not _HOST_HEADER.fullmatch(text):
        raise ValueError("a Host is a name or an address, perhaps with a port")
    return text


def parse_host_pattern(text: str) -> str:
    """`shop.example.com`, `*.example.com` or an address, without port, in lower case."""
    host = text.lower()
    if host.startswith("["):
        return f"[{IPv6Address(host[1:].removesuffix(']'))}]"
    if ":" in host:
        raise ValueError("leave the port out; a host is matched without it")
    if not _HOST.fullmatch(host.removeprefix("*.")):
        raise ValueError("write a host such as shop.example.com or *.example.com")
    return host
