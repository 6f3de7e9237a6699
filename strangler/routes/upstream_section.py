"""One entry under `upstreams`: where a service is, how long it may take, and how to speak TLS with it."""

from __future__ import annotations

from functools import partial

from strangler.routes.model import Address, Breaking, Health, Timeouts, Upstream, UpstreamTls
from strangler.routes.nodes import Mapping, Node, Sequence, behind
from strangler.routes.reader import Reader, Shape, line_of
from strangler.routes.units import (
    or_none,
    parse_connections,
    parse_count,
    parse_duration,
    parse_percent,
)
from strangler.routes.values import (
    Origin,
    parse_file,
    parse_flag,
    parse_health_path,
    parse_server_name,
    parse_upstream_url,
)

_UPSTREAM = Shape("an upstream", ("url", "timeout", "connections", "health", "breaker", "tls"), ("url",))
_TIMEOUT = Shape("timeout", ("connect", "wait", "first_byte", "idle", "total", "tunnel"))
_HEALTH = Shape("health", ("path", "every", "timeout", "down", "up"), ("path",))
_BREAKER = Shape("breaker", ("failures", "least", "window", "open"))
_TLS = Shape("tls", ("ca", "certificate", "key", "verify", "name"))

_DEFAULT = Upstream("", "", 0)


def read_upstream(reader: Reader, name: str, node: Node, folder: str) -> Upstream:
    """What one upstream is; defaults stand where there was a fault. `folder` is where relative paths begin."""
    fields = reader.fields(node, _UPSTREAM)
    origins = _read_origins(reader, fields["url"]) if "url" in fields else []
    origin = origins[0] if origins else None
    address = origin.address if origin else Address("", 0)
    timeouts = _read_timeouts(reader, fields["timeout"]) if "timeout" in fields else Timeouts()
    connections = reader.optional(fields, "connections", parse_connections, _DEFAULT.connections)
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
        health=_read_health(reader, fields["health"]) if "health" in fields else None,
        breaker=_read_breaker(reader, fields["breaker"]) if "breaker" in fields else Breaking(),
        more=tuple(each.address for each in origins[1:]),
    )


def _read_origins(reader: Reader, node: Node) -> list[Origin]:
    """One URL, or a list of them: one an endpoint."""
    if not isinstance(behind(node), Sequence):
        origin = reader.value(node, "url", parse_upstream_url)
        return [] if origin is None else [origin]
    origins: list[Origin] = []
    items = reader.items(node, "url")
    if not items:
        reader.fault(node, "url is an empty list; write at least one URL")
    for item in items:
        origin = reader.value(item, "url", parse_upstream_url)
        if origin is None:
            continue
        if origins and origin.secure != origins[0].secure:
            reader.fault(item, "all the URLs of an upstream must be http, or all https")
        elif origin in origins:
            reader.fault(item, f"the URL of {origin.address} stands here twice")
        else:
            origins.append(origin)
    return origins


def _read_health(reader: Reader, node: Node) -> Health | None:
    """`/healthz`, or a mapping that also says how often, how long, and how many answers it takes."""
    if isinstance(behind(node), Sequence):
        reader.fault(node, "health must be a path such as /healthz, or a mapping, not a list")
        return None
    if not isinstance(behind(node), Mapping):
        path = reader.value(node, "health", parse_health_path)
        return None if path is None else Health(path)
    fields = reader.fields(node, _HEALTH)
    default = Health("/")
    return Health(
        path=reader.optional(fields, "path", parse_health_path, default.path),
        every=reader.optional(fields, "every", parse_duration, default.every),
        timeout=reader.optional(fields, "timeout", parse_duration, default.timeout),
        down=reader.optional(fields, "down", _times, default.down),
        up=reader.optional(fields, "up", _times, default.up),
    )


def _times(text: str) -> int:
    return parse_count(text, least=1, most=100)


def _read_breaker(reader: Reader, node: Node) -> Breaking | None:
    """`none`, or a mapping."""
    if not isinstance(behind(node), Mapping | Sequence):
        return reader.value(node, "breaker", or_none(_no_breaker))
    fields = reader.fields(node, _BREAKER)
    default = Breaking()
    return Breaking(
        failures=reader.optional(fields, "failures", _some_percent, default.failures),
        least=reader.optional(fields, "least", partial(parse_count, least=1, most=100_000), default.least),
        window=reader.optional(fields, "window", parse_duration, default.window),
        open=reader.optional(fields, "open", parse_duration, default.open),
    )


def _no_breaker(text: str) -> Breaking:
    raise ValueError("write none, or a mapping such as {failures: 50%, least: 5, window: 10s, open: 5s}")


def _some_percent(text: str) -> int:
    percent = parse_percent(text)
    if not percent:
        raise ValueError("a breaker that opens at 0% is never closed; write more")
    return percent


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
