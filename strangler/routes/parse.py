"""YAML text to a table, or every fault with its line and column."""

from __future__ import annotations

import hashlib
import posixpath
from ipaddress import IPv4Network, IPv6Network

from strangler.routes.compare_section import CheckRule, read_compare
from strangler.routes.faults import Fault, Faults, shown
from strangler.routes.headers_section import read_headers, read_shadow_headers
from strangler.routes.listener_section import (
    read_access_log,
    read_limits,
    read_listener_tls,
    read_retention,
    read_trace,
)
from strangler.routes.match import equal_claims
from strangler.routes.match_section import read_match
from strangler.routes.model import (
    Address,
    CompareRules,
    HeaderEdits,
    IdentitySource,
    Match,
    PathPattern,
    Percent,
    Route,
    ShadowWrites,
    Table,
    Upstream,
)
from strangler.routes.nodes import Node, Unreadable, read_document
from strangler.routes.pattern import check_rewrite
from strangler.routes.ramp_section import read_ramp
from strangler.routes.reader import Reader, Shape, checked_name
from strangler.routes.units import parse_percent
from strangler.routes.upstream_section import read_upstream
from strangler.routes.values import (
    IDENTITY_KINDS,
    parse_address,
    parse_flag,
    parse_identity,
    parse_network,
    parse_shadow_writes,
)

__all__ = ["Fault", "Faults", "parse"]

_FILE = Shape(
    "the file",
    (
        *("version", "listen", "admin", "tls", "limits", "access_log", "trace", "evidence"),
        *("trust", "identity", "upstreams", "legacy", "routes"),
    ),
    ("version", "upstreams", "legacy"),
)
_ROUTE = Shape(
    "a route",
    (
        *("name", "match", "extracted", "share", "shadow", "shadow_writes", "shadow_headers"),
        *("rewrite", "headers", "compare", "fallback", "ramp"),
    ),
    ("name", "match", "extracted"),
)

_LISTEN = Address("127.0.0.1", 8080)
_ADMIN = Address("127.0.0.1", 9090)


def parse(
    data: bytes,
    *,
    file: str,
    check_rule: CheckRule,
    folder: str = "",
) -> Table:
    """The table that a routes file says. Raises Faults, with all of them at once.

    `file` is the name that the faults carry. `check_rule` gets each rule under `compare` (its key, its place, and
    how) and returns what is wrong with it, or None. `folder` is where the relative paths in the file begin; without
    it they stay as they are.
    """
    try:
        document = read_document(data)
    except Unreadable as error:
        raise Faults(file, [error.fault]) from None
    reader = Reader(document.faults)
    own = posixpath.normpath(posixpath.join(folder, posixpath.basename(file)))
    tables = _TableReader(reader, check_rule, folder, own)
    table = tables.table(document.root, hashlib.sha256(data).hexdigest())
    if reader.faults:
        raise Faults(file, reader.faults)
    return table


class _TableReader:
    """Reads the sections of the file. What has a fault is left out of the table, which is then thrown away."""

    def __init__(self, reader: Reader, check_rule: CheckRule, folder: str, own: str) -> None:
        self._reader = reader
        self._check_rule = check_rule
        self._folder = folder
        self._own = own
        self._fields: dict[str, Node] = {}
        self._upstream_lines: dict[str, int] = {}

    def table(self, root: Node, digest: str) -> Table:
        reader = self._reader
        self._fields = fields = reader.fields(root, _FILE)
        if "version" in fields:
            reader.value(fields["version"], "version", _check_version)
        upstreams = self._upstreams()
        listen, admin = self._address("listen", _LISTEN), self._address("admin", _ADMIN)
        if listen == admin and listen.port != 0:
            place = fields.get("admin") or fields.get("listen") or root
            reader.fault(place, f"listen and admin are the same address, {listen}")
        legacy = self._upstream_name(fields["legacy"], "legacy") if "legacy" in fields else None
        routes = self._routes(legacy)
        return Table(
            listen=listen,
            admin=admin,
            identity=self._identity(),
            upstreams=upstreams,
            legacy=legacy or "",
            routes=routes,
            trust=self._trust(),
            limits=read_limits(reader, fields),
            tls=read_listener_tls(reader, root, fields, self._folder),
            access_log=read_access_log(reader, fields, self._folder, self._own),
            trace=read_trace(reader, fields),
            evidence=read_retention(reader, fields),
            digest=digest,
        )

    def _address(self, key: str, default: Address) -> Address:
        if key not in self._fields:
            return default
        return self._reader.value(self._fields[key], key, parse_address) or default

    def _trust(self) -> tuple[IPv4Network | IPv6Network, ...]:
        if "trust" not in self._fields:
            return ()
        items = self._reader.items(self._fields["trust"], "trust")
        networks = [self._reader.value(item, "trust", parse_network) for item in items]
        return tuple(network for network in networks if network is not None)

    def _identity(self) -> tuple[IdentitySource, ...]:
        sources: list[IdentitySource] = []
        if "identity" in self._fields:
            for item in self._reader.items(self._fields["identity"], "identity"):
                source = self._reader.value(item, "identity", self._identity_source)
                if source in sources:
                    self._reader.fault(item, f"identity {source} stands here twice")
                elif source is not None:
                    sources.append(source)
        return tuple(sources)

    def _identity_source(self, text: str) -> IdentitySource:
        kind = text.partition(":")[0]
        if kind not in IDENTITY_KINDS and (hint := self._reader.suggestion(kind, IDENTITY_KINDS)):
            raise ValueError(f"unknown identity{hint}")
        return parse_identity(text)

    def _upstreams(self) -> dict[str, Upstream]:
        upstreams: dict[str, Upstream] = {}
        if "upstreams" not in self._fields:
            return upstreams
        for key, key_node, value in self._reader.entries(self._fields["upstreams"], "upstreams"):
            self._upstream_lines[key] = key_node.line
            name = self._reader.value(key_node, "upstream", checked_name)
            upstream = read_upstream(self._reader, name or "", value, self._folder)
            if name is not None:
                upstreams[name] = upstream
        return upstreams

    def _upstream_name(self, node: Node, what: str) -> str | None:
        name = self._reader.text(node, what)
        # Without any upstream the fault is theirs, and not that of everyone who names one.
        if name is not None and self._upstream_lines and name not in self._upstream_lines:
            hint = self._reader.suggestion(name, self._upstream_lines)
            self._reader.fault(node, f"{what} {shown(name)}: no upstream has this name{hint}")
        return name

    def _routes(self, legacy: str | None) -> tuple[Route, ...]:
        if "routes" not in self._fields:
            return ()
        routes: list[Route] = []
        places: dict[int, Node] = {}
        lines: dict[str, int] = {}
        for item in self._reader.items(self._fields["routes"], "routes"):
            fields = self._reader.fields(item, _ROUTE)
            name = self._name(fields, lines)
            faults = len(self._reader.faults)
            match = read_match(self._reader, fields["match"]) if "match" in fields else None
            sound = len(self._reader.faults) == faults
            route = self._route(item, fields, name, match, legacy)
            if route is not None and sound:  # half a match would tie with routes that the whole one does not
                places[id(route)] = fields["match"]
                routes.append(route)
        for one, other in equal_claims(routes):
            self._reader.fault(places[id(other)], _tie(one, other))
        return tuple(routes)

    def _name(self, fields: dict[str, Node], lines: dict[str, int]) -> str:
        name = self._reader.value(fields["name"], "name", checked_name) if "name" in fields else None
        if name is None:
            return ""
        if name in lines:
            self._reader.fault(
                fields["name"], f"two routes are named {shown(name)}, first in line {lines[name]}"
            )
        lines.setdefault(name, fields["name"].line)
        return name

    def _route(
        self, item: Node, fields: dict[str, Node], name: str, match: Match | None, legacy: str | None
    ) -> Route | None:
        extracted = self._upstream_name(fields["extracted"], "extracted") if "extracted" in fields else None
        if extracted is not None and extracted == legacy:
            self._reader.fault(
                fields["extracted"], f"extracted {shown(extracted)} is the legacy upstream itself"
            )
        share: Percent = self._reader.optional(fields, "share", parse_percent, 0)
        shadow: Percent = self._reader.optional(fields, "shadow", parse_percent, 0)
        rewrite = self._rewrite(fields, match.path if match else None)
        headers = read_headers(self._reader, fields["headers"]) if "headers" in fields else HeaderEdits()
        compare = (
            read_compare(self._reader, fields["compare"], self._check_rule)
            if "compare" in fields
            else CompareRules()
        )
        shadow_writes: ShadowWrites = self._reader.optional(
            fields, "shadow_writes", parse_shadow_writes, "never"
        )
        shadow_headers = read_shadow_headers(self._reader, fields)
        fallback: bool | None = self._reader.optional(fields, "fallback", parse_flag, None)
        ramp = read_ramp(self._reader, fields["ramp"]) if "ramp" in fields else None
        if match is None:
            return None
        return Route(
            name,
            match,
            extracted or "",
            share,
            shadow,
            rewrite,
            headers,
            compare,
            item.line,
            shadow_writes=shadow_writes,
            shadow_headers=shadow_headers,
            fallback=fallback,
            ramp=ramp,
        )

    def _rewrite(self, fields: dict[str, Node], path: PathPattern | None) -> str | None:
        if "rewrite" not in fields:
            return None
        text = self._reader.text(fields["rewrite"], "rewrite")
        if text is None or path is None:
            return None
        try:
            check_rewrite(text, path)
        except ValueError as error:
            self._reader.fault(fields["rewrite"], f"rewrite {shown(text)}: {error}")
        return text


def _check_version(text: str) -> int:
    if text != "1":
        raise ValueError("this release reads version 1")
    return 1


def _tie(one: Route, other: Route) -> str:
    lines = f"{shown(one.name)} (line {one.line}) and {shown(other.name)} (line {other.line})"
    return f"the routes {lines} claim the same requests with equal right: {_reason(one, other)}"


def _reason(one: Route, other: Route) -> str:
    if any(segment.regex for segment in one.match.path.segments) and one.match.path != other.match.path:
        return "their regular expressions are not certain to exclude each other"
    if one.match.methods != other.match.methods:
        return "they share methods, and neither's methods are part of the other's"
    return "nothing in their matches makes one more specific"
