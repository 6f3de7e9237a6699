"""What the file says of the listener beside its address: `limits`, `tls`, `access_log` and `trace`; and `evidence`."""

from __future__ import annotations

import posixpath
from functools import partial

from strangler.routes.model import WHOLE, Limits, ListenerTls, Percent, Retention
from strangler.routes.nodes import Node
from strangler.routes.reader import Reader, Shape, line_of
from strangler.routes.units import (
    or_none,
    parse_connections,
    parse_count,
    parse_days,
    parse_duration,
    parse_percent,
    parse_size,
)
from strangler.routes.values import parse_access_log, parse_file

_LIMITS = Shape("limits", ("head", "body", "head_time", "idle", "stall", "connections", "fallbacks"))
_TLS = Shape("tls", ("certificate", "key"), ("certificate", "key"))

_RETENTION = Shape("evidence", ("keep", "size"))

#: An empty evidence file takes a tenth of this.
_LEAST_EVIDENCE = 1024 * 1024
#: A browser's own fields and a cookie or two come to about this much.
_LEAST_HEAD = 1024
#: A head is held in memory whole, and every connection may have one.
_MOST_HEAD = 1024 * 1024


def read_limits(reader: Reader, fields: dict[str, Node]) -> Limits:
    """What one caller may take. `fields` are the file's."""
    default = Limits()
    if "limits" not in fields:
        return default
    limits = reader.fields(fields["limits"], _LIMITS)
    head = partial(parse_size, least=_LEAST_HEAD, most=_MOST_HEAD)
    return Limits(
        head=reader.optional(limits, "head", head, default.head),
        body=reader.optional(limits, "body", or_none(parse_size), default.body),
        head_time=reader.optional(limits, "head_time", parse_duration, default.head_time),
        idle=reader.optional(limits, "idle", parse_duration, default.idle),
        stall=reader.optional(limits, "stall", parse_duration, default.stall),
        connections=reader.optional(limits, "connections", parse_connections, default.connections),
        fallbacks=reader.optional(
            limits, "fallbacks", partial(parse_count, least=0, most=100_000), default.fallbacks
        ),
    )


def read_listener_tls(reader: Reader, root: Node, fields: dict[str, Node], folder: str) -> ListenerTls | None:
    """The certificate that callers are shown, or None for plain HTTP. `root` is the file's mapping."""
    if "tls" not in fields:
        return None
    files = reader.fields(fields["tls"], _TLS)
    file = partial(parse_file, folder=folder)
    certificate = reader.optional(files, "certificate", file, "")
    return ListenerTls(certificate, reader.optional(files, "key", file, ""), line_of(root, "tls"))


def read_access_log(reader: Reader, fields: dict[str, Node], folder: str, own: str) -> str | None:
    """A path, `stdout` or None. `own` is the path of the routes file, normalised: no place for a log."""
    if "access_log" not in fields:
        return None
    path = reader.value(fields["access_log"], "access_log", or_none(partial(parse_access_log, folder=folder)))
    if path is not None and posixpath.normpath(path) == own:
        reader.fault(fields["access_log"], "access_log is the routes file itself")
    return path


def read_trace(reader: Reader, fields: dict[str, Node]) -> Percent | None:
    """The share of the traces begun here that are marked as sampled, or None to begin none."""
    if "trace" not in fields:  # not `optional`, which takes None for a fault
        return WHOLE
    return reader.value(fields["trace"], "trace", or_none(parse_percent))


def read_retention(reader: Reader, fields: dict[str, Node]) -> Retention:
    """How long evidence is kept, and how much of it."""
    default = Retention()
    if "evidence" not in fields:
        return default
    kept = reader.fields(fields["evidence"], _RETENTION)
    return Retention(
        days=reader.optional(kept, "keep", parse_days, default.days),
        size=reader.optional(kept, "size", partial(parse_size, least=_LEAST_EVIDENCE), default.size),
    )
