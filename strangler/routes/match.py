"""Which route claims a request: a tree of segments, compiled once, searched from the most specific branch on.

The order of precedence is in docs/routes.md. Regular expressions are asked only at the leaf. So the tree has one
branch for every expression at a place, and the order among routes is exactly left to right: literal, regex,
parameter, rest. No node is visited twice, so a hostile path costs no more than the table is large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import unquote_plus

from strangler.routes.claims import equal_claims
from strangler.routes.model import Match, Route
from strangler.routes.pattern import REST, decode_segment, has_dots
from strangler.routes.regex import compile_regex

__all__ = ["Claim", "Matcher", "equal_claims"]

Header = Callable[[str], str | None]
_Fits = Callable[[str], object]


class Claim(NamedTuple):
    """The route that claims a request, and its parameters as they stood on the wire.

    `"**"` holds what `/**` stood for, without its first slash. It is missing when the path ended before that slash.
    """

    route: Route
    parameters: dict[str, str]


class Matcher:
    """Routes, compiled. Immutable, so any number of requests may ask at once."""

    __slots__ = ("_exact_hosts", "_hostless", "_wildcard_hosts")

    def __init__(self, routes: Iterable[Route]) -> None:
        trees: dict[str | None, _Tree] = {None: _Tree()}
        for route in routes:
            trees.setdefault(route.match.host, _Tree()).add(route)
        self._hostless = trees.pop(None)
        hosts = {host: tree for host, tree in trees.items() if host is not None}
        self._exact_hosts = {host: tree for host, tree in hosts.items() if not host.startswith("*.")}
        # A longer suffix names fewer hosts.
        wildcards = sorted((host for host in hosts if host.startswith("*.")), key=len, reverse=True)
        self._wildcard_hosts = [(host[1:], hosts[host]) for host in wildcards]
        for tree in (self._hostless, *hosts.values()):
            tree.seal()

    def find(self, method: str, target: str, header: Header) -> Claim | None:
        """The route with the best right to a request, or None.

        `target` is the request target as it came, `header` gives the first value of a header by lower-case name.
        """
        path, _, query = target.partition("?")
        if path[:1] != "/":  # `*` and absolute targets (RFC 9112 section 3.2)
            return None
        plain = "%" not in path and "/." not in path and path.isascii()
        raw = path.split("/")
        del raw[0]
        segments = raw if plain else [decode_segment(segment) for segment in raw]
        if not plain and any(map(has_dots, segments)):
            return None
        search = _Search(method, header, query, segments)
        if self._exact_hosts or self._wildcard_hosts:
            return self._find_by_host(search, path if plain else None, raw)
        return self._hostless.find(search, path if plain else None, raw)

    def _find_by_host(self, search: _Search, plain: str | None, raw: list[str]) -> Claim | None:
        host = _host(search.header("host") or "")
        trees = [tree for suffix, tree in self._wildcard_hosts if host.endswith(suffix) and host != suffix]
        if exact := self._exact_hosts.get(host):
            trees.insert(0, exact)
        for tree in (*trees, self._hostless):
            if claim := tree.find(search, plain, raw):
                return claim
        return None


def _host(field: str) -> str:
    """A Host header without its port, in lower case (RFC 9110 section 7.2)."""
    host = field.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].removesuffix(".")


class _Search:
    """One request while its route is looked for."""

    __slots__ = ("_query", "_query_text", "header", "method", "segments")

    def __init__(self, method: str, header: Header, query: str, segments: list[str]) -> None:
        self.method = method
        self.header = header
        self.segments = segments
        self._query_text = query
        self._query: dict[str, str] | None = None

    def query(self, name: str) -> str | None:
        """The first value of a query parameter, decoded."""
        if self._query is None:
            self._query = {}
            for part in self._query_text.split("&"):
                key, _, value = part.partition("=")
                self._query.setdefault(unquote_plus(key), unquote_plus(value))
        return self._query.get(name)


class _Candidate:
    """A route at its leaf: where its parameters stand, and which regular expressions must fit."""

    __slots__ = ("names", "regexes", "rest", "route")

    def __init__(self, route: Route) -> None:
        path = route.match.path
        self.route = route
        self.names = tuple((at, part.parameter) for at, part in enumerate(path.segments) if part.parameter)
        self.regexes: tuple[tuple[int, _Fits], ...] = tuple(
            (at, compile_regex(part.regex)) for at, part in enumerate(path.segments) if part.regex
        )
        self.rest = len(path.segments) if path.rest else None

    def claim(self, raw: list[str]) -> Claim:
        parameters = {name: raw[at] for at, name in self.names}
        if self.rest is not None and self.rest < len(raw):
            parameters[REST] = "/".join(raw[self.rest :])
        return Claim(self.route, parameters)


class _Group:
    """Candidates at one leaf with the same methods and the same names of conditions, by the values they want."""

    __slots__ = ("_candidates", "_headers", "_query", "_unconditional", "methods")

    def __init__(self, match: Match) -> None:
        self.methods = match.methods
        self._headers = tuple(sorted(name for name, _ in match.headers))
        self._query = tuple(sorted(name for name, _ in match.query))
        self._candidates: dict[tuple[str | None, ...], list[_Candidate]] = {}
        self._unconditional = not (self._headers or self._query)

    @staticmethod
    def key(match: Match) -> tuple[object, ...]:
        """What the members of a group have in common."""
        return match.methods, frozenset(dict(match.headers)), frozenset(dict(match.query))

    @property
    def order(self) -> tuple[float, int, int]:
        """The best right first: fewer methods, then more headers, then more of the query."""
        methods = math.inf if self.methods is None else len(self.methods)
        return methods, -len(self._headers), -len(self._query)

    def add(self, route: Route) -> None:
        match = route.match
        values = (*(v for _, v in sorted(match.headers)), *(v for _, v in sorted(match.query)))
        self._candidates.setdefault(values, []).append(_Candidate(route))

    def pick(self, search: _Search) -> _Candidate | None:
        if self._unconditional:
            candidates = self._candidates[()]
        else:
            headers = ((search.header(name) or "").strip() or None for name in self._headers)
            values = (*headers, *(search.query(name) for name in self._query))
            candidates = self._candidates.get(values, [])
        segments = search.segments
        for candidate in candidates:
            for at, fits in candidate.regexes:
                if not fits(segments[at]):
                    break
            else:
                return candidate
        return None


class _Leaf:
    """The routes that end at one place of the tree."""

    __slots__ = ("_by_key", "_groups")

    def __init__(self) -> None:
        self._by_key: dict[tuple[object, ...], _Group] = {}
        self._groups: list[_Group] = []

    def add(self, route: Route) -> None:
        self._by_key.setdefault(_Group.key(route.match), _Group(route.match)).add(route)

    def seal(self) -> None:
        self._groups = sorted(self._by_key.values(), key=lambda group: group.order)

    def pick(self, search: _Search) -> _Candidate | None:
        for group in self._groups:
            if (group.methods is None or search.method in group.methods) and (found := group.pick(search)):
                return found
        return None


class _Node:
    """A place in the tree: what may come next, and what may end here."""

    __slots__ = ("end", "literals", "parameter", "regex", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.regex: _Node | None = None
        self.parameter: _Node | None = None
        self.end: _Leaf | None = None
        self.rest: _Leaf | None = None

    def search(self, search: _Search, at: int) -> _Candidate | None:
        """The best candidate below this node, from the segment `at` on."""
        node, segments = self, search.segments
        last = len(segments)
        while (
            at < last and node.rest is None and node.regex is None
        ):  # follow as long as only one way leads on
            segment = segments[at]
            child = node.literals.get(segment)
            if child is None:
                child = node.parameter if segment else None  # an empty segment is no parameter
                if child is None:
                    return None
            elif node.parameter is not None:
                break
            node = child
            at += 1
        return node._fork(search, at)

    def _fork(self, search: _Search, at: int) -> _Candidate | None:
        """The best of several ways, tried from the most specific on."""
        segments = search.segments
        if at == len(segments):
            if self.end is not None and (found := self.end.pick(search)):
                return found
        else:
            segment = segments[at]
            child = self.literals.get(segment)
            if child is not None and (found := child.search(search, at + 1)):
                return found
            if segment:
                if self.regex is not None and (found := self.regex.search(search, at + 1)):
                    return found
                if self.parameter is not None and (found := self.parameter.search(search, at + 1)):
                    return found
        return self.rest.pick(search) if self.rest is not None else None


class _Tree:
    """The routes of one host, with a short cut for paths that hold no parameter."""

    __slots__ = ("_leaves", "_literal", "_root")

    def __init__(self) -> None:
        self._root = _Node()
        self._literal: dict[str, _Leaf] = {}
        self._leaves: set[_Leaf] = set()

    def add(self, route: Route) -> None:
        path = route.match.path
        node = self._root
        for segment in path.segments:
            if segment.literal is not None:
                node = node.literals.setdefault(segment.literal, _Node())
            elif segment.regex is not None:
                node.regex = node.regex or _Node()
                node = node.regex
            else:
                node.parameter = node.parameter or _Node()
                node = node.parameter
        leaf = (node.rest if path.rest else node.end) or _Leaf()
        leaf.add(route)
        self._leaves.add(leaf)
        if path.rest:
            node.rest = leaf
        else:
            node.end = leaf
            literals = [segment.literal for segment in path.segments if segment.literal is not None]
            if len(literals) == len(path.segments) and not any("/" in literal for literal in literals):
                self._literal["/" + "/".join(literals)] = leaf

    def seal(self) -> None:
        for leaf in self._leaves:
            leaf.seal()

    def find(self, search: _Search, plain: str | None, raw: list[str]) -> Claim | None:
        if plain is not None and (leaf := self._literal.get(plain)) and (found := leaf.pick(search)):
            return found.claim(raw)
        candidate = self._root.search(search, 0)
        return None if candidate is None else candidate.claim(raw)
