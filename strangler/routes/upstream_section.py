"""One entry under `upstreams`: where a service is, how long it may take, and how to speak TLS with it."""

from __future__ import annotations

from functools import partial

from strangler.routes.model import Address, Timeouts, Upstream, UpstreamTls
from strangler.routes.nodes import Mapping, Node, Sequence, behind
from strangler.routes.reader import Reader, Shape, line_of
from strangler.routes.units import or_none, parse_connections, parse_duration
from strangler.routes.values import (
    parse_file,
    parse_flag,
    parse_health,
    parse_server_name,
    parse_upstream_url,
)

_UPSTREAM = Shape("an upstream", ("url", "timeout", "connections", "health", "tls"), ("url",))
_TIMEOUT = Shape("timeout", ("connect", "wait", "first_byte", "idle", "total", "tunnel"))
_TLS = Shape("tls", ("ca", "certificate", "key", "verify", "name"))

_DEFAULT = Upstream("", "", 0)


def read_upstream(reader: Reader, name: str, node: Node, folder: str) -> Upstream:
    """What one upstream is; defaults stand where there was a fault. `folder` is where relative paths begin."""
    fields = reader.fields(node, _UPSTREAM)
    origin = reader.value(fields["url"], "url", parse_upstream_url) if "url" in fields else None
    address = origin.address if origin else Address("", 0)
    timeouts = _read_timeouts(reader, fields["timeout"]) if "timeout" in fields else Timeouts()
    connections = reader.optional(fields, "connections", parse_connections, _DEFAULT.connections)
    health = reader.optional(fields, "health", parse_health, None)
    tls = UpstreamTls() if origin and origin.secure else None
    if "tls" in fields:
        tls = _read_tls(reader, fields["tls"], line_of(node, "tls"), folder)
        if origin is not None and not origin.secure:
            reader.fault(fields["tls"], "tls is for an https URL, and this upstream's is http")
    return Upstream(
        name,
        address.host,
        address.port,
        timeouts=timeouts,
        connections=connections,
        tls=tls,
        health=health,
    )


def _read_timeouts(reader: Reader, node: Node) -> Timeouts:
    """`2s`, or a mapping that names the waits one by one."""
    default = Timeouts()
    if isinstance(behind(node), Sequence):
        reader.fault(node, "timeout must be a duration such as 2s, or a mapping, not a list")
        return default
    if not isinstance(behind(node), Mapping):
        silence = reader.value(node, "timeout", parse_duration)
        return default if silence is None else Timeouts.of(silence)
    fields = reader.fields(node, _TIMEOUT)
    return Timeouts(
        connect=reader.optional(fields, "connect", parse_duration, default.connect),
        wait=reader.optional(fields, "wait", parse_duration, default.wait),
        first_byte=reader.optional(fields, "first_byte", parse_duration, default.first_byte),
        idle=reader.optional(fields, "idle", parse_duration, default.idle),
        total=reader.optional(fields, "total", or_none(parse_duration), default.total),
        tunnel=reader.optional(fields, "tunnel", parse_duration, default.tunnel),
    )


def _read_tls(reader: Reader, node: Node, line: int, folder: str) -> UpstreamTls:
    fields = reader.fields(node, _TLS)
    file = partial(parse_file, folder=folder)
    tls = UpstreamTls(
        ca=reader.optional(fields, "ca", file, None),
        certificate=reader.optional(fields, "certificate", file, None),
        key=reader.optional(fields, "key", file, None),
        verify=reader.optional(fields, "verify", parse_flag, True),
        name=reader.optional(fields, "name", parse_server_name, None),
        line=line,
    )
    for one, other in (("certificate", "key"), ("key", "certificate")):
        if one in fields and other not in fields:
            reader.fault(fields[one], f"{one} stands without {other}: the two go together")
    if "ca" in fields and not tls.verify:
        reader.fault(fields["ca"], "ca says nothing beside `verify: false`; leave out one of the two")
    return tls
