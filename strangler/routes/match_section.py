"""The `match` of a route: text such as `GET,HEAD /payments/{id}`, or a mapping that can ask for more."""

from __future__ import annotations

from strangler.routes.faults import shown
from strangler.routes.model import Match, PathPattern
from strangler.routes.nodes import Mapping, Node, Sequence, behind
from strangler.routes.pattern import parse_path
from strangler.routes.reader import Reader, Shape
from strangler.routes.values import METHODS, parse_header_name, parse_header_value, parse_host_pattern

_MATCH = Shape("match", ("methods", "path", "host", "headers", "query"), ("path",))


def read_match(reader: Reader, node: Node) -> Match | None:
    """What a route claims, or None after a fault."""
    if isinstance(behind(node), Mapping):
        return _read_mapping(reader, node)
    if isinstance(behind(node), Sequence):
        reader.fault(node, "match must be text such as GET /payments, or a mapping, not a list")
        return None
    text = reader.text(node, "match")
    if text is None:
        return None
    if text.startswith("/"):
        methods, path = None, text
    else:
        words, _, path = text.partition(" ")
        if not path.strip():
            reader.fault(
                node, f"match {shown(text)}: write METHOD PATH, such as GET /payments/{{payment_id}}"
            )
            return None
        methods = _read_methods(reader, [(node, word) for word in words.split(",")])
    pattern = reader.value(node, "match", lambda _: parse_path(path.strip()))
    return None if pattern is None else Match(pattern, methods)


def _read_mapping(reader: Reader, node: Node) -> Match | None:
    fields = reader.fields(node, _MATCH)
    pattern: PathPattern | None = None
    if "path" in fields:
        pattern = reader.value(fields["path"], "path", parse_path)
    methods = _read_method_list(reader, fields["methods"]) if "methods" in fields else None
    host = reader.value(fields["host"], "host", parse_host_pattern) if "host" in fields else None
    headers = _read_headers(reader, fields["headers"]) if "headers" in fields else ()
    query = _read_query(reader, fields["query"]) if "query" in fields else ()
    return None if pattern is None else Match(pattern, methods, host, headers, query)


def _read_method_list(reader: Reader, node: Node) -> frozenset[str] | None:
    if isinstance(behind(node), Sequence):
        items = reader.items(node, "methods")
        words = [(item, text) for item in items if (text := reader.text(item, "a method")) is not None]
        if not items:
            reader.fault(node, "methods is empty; leave it out to match any method")
    else:
        text = reader.text(node, "methods")
        words = [(node, word.strip()) for word in (text or "").split(",")] if text else []
    return _read_methods(reader, words)


def _read_methods(reader: Reader, words: list[tuple[Node, str]]) -> frozenset[str] | None:
    methods = set()
    for node, word in words:
        if word in methods:
            reader.fault(node, f"the method {word} stands here twice")
        elif word in METHODS:
            methods.add(word)
        else:
            hint = reader.suggestion(word, sorted(METHODS))
            reader.fault(node, f"unknown method {shown(word)}{hint}")
    return frozenset(methods) or None


def _read_headers(reader: Reader, node: Node) -> tuple[tuple[str, str], ...]:
    headers: dict[str, str] = {}
    for key, key_node, value_node in reader.entries(node, "headers"):
        value = reader.value(value_node, f"the header {shown(key)}", parse_header_value)
        try:
            name = parse_header_name(key).lower()
        except ValueError as error:
            reader.fault(key_node, f"header {shown(key)}: {error}")
            continue
        if name == "host":
            reader.fault(key_node, "match a host under `host:`, not under `headers:`")
        elif name in headers:
            reader.fault(key_node, f"the header {shown(key)} stands here twice")
        else:
            headers[name] = value or ""
    return tuple(headers.items())


def _read_query(reader: Reader, node: Node) -> tuple[tuple[str, str], ...]:
    pairs = []
    for key, _, value_node in reader.entries(node, "query"):
        value = reader.value(value_node, f"the query parameter {shown(key)}", str)
        pairs.append((key, value or ""))
    return tuple(pairs)
