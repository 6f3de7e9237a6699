"""The texts of routes.yaml that stand for something: addresses, URLs, identities, headers. ValueError says why not."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import urlsplit

from strangler.routes.model import Address, IdentitySource

#: RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_ADDRESS = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*):([0-9]{1,5})")
_HOST_HEADER = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]+")
_PATH = re.compile(r"/[\x21-\x22\x24-\x7e]*")


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
    if not _HOST.fullmatch(text):
        raise ValueError("this is not the name or address of a host")
    return text


def _checked_port(port: int, lowest: int) -> int:
    if not lowest <= port <= 65535:
        raise ValueError(f"a port is a number from {lowest} to 65535")
    return port


def parse_upstream_url(text: str) -> Address:
    """`http://127.0.0.1:8001`: a scheme, a host and perhaps a port, nothing else."""
    if not text.isascii() or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError("this is not a URL")
    url = urlsplit(text)
    if url.scheme == "https":
        raise ValueError("https to an upstream is not supported by this release")
    if url.scheme != "http" or not url.netloc:
        raise ValueError("write a URL such as http://127.0.0.1:8001")
    if "@" in url.netloc:
        raise ValueError("a user or a password cannot stand in the URL")
    if url.path not in {"", "/"}:
        raise ValueError("a path cannot stand in the URL; `rewrite` changes the path of a route")
    if "?" in text or "#" in text:
        raise ValueError("a query or a fragment cannot stand in the URL")
    port = 80 if url.port is None else url.port
    host = url.hostname or ""
    return Address(_checked_host(f"[{host}]" if ":" in host else host), _checked_port(port, lowest=1))


def parse_health(text: str) -> str:
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
    if parse_header_name(text).lower() in CONNECTION_HEADERS:
        raise ValueError("this header belongs to the connection or frames the message; it cannot be edited")
    return text


def parse_removable_header(text: str) -> str:
    """The name of a header that `headers.remove` may remove."""
    if parse_editable_header(text).lower() == "host":
        raise ValueError("a request needs its Host (RFC 9112 section 3.2); it can be set, not removed")
    return text


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
