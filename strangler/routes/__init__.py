"""Which side answers? The table of routes, pure: no socket, clock, log, file, thread or await.

`parse` turns the bytes of routes.yaml into a `Table`, or into `Faults` with the place of every one. A `Router` is a
table compiled: it matches a request to a route and assigns its caller to a side. `target_for` and `edit_headers` say
what that side is sent. `set_value` changes one value of the file and keeps every other byte.
"""

from strangler.routes.assign import (
    Asked,
    Decision,
    Router,
    bucket,
    caller_hash,
    may_write,
    shadow_bucket,
    why,
)
from strangler.routes.edit import CannotEdit, set_value
from strangler.routes.faults import Fault, Faults
from strangler.routes.identity import MINTED_COOKIE
from strangler.routes.match import Claim, Matcher, equal_claims
from strangler.routes.model import (
    METHOD_OVERRIDES,
    SAFE_METHODS,
    WHOLE,
    Accepted,
    Address,
    AnswerBridge,
    Breaking,
    Bridge,
    CompareRules,
    HeaderEdits,
    Health,
    IdentitySource,
    Limits,
    ListenerTls,
    Match,
    PathPattern,
    Percent,
    Ramp,
    Retention,
    Route,
    RulePlace,
    Segment,
    ShadowHeaders,
    Side,
    Stage,
    Table,
    Timeouts,
    Upstream,
    UpstreamTls,
)
from strangler.routes.nodes import MOST_BYTES
from strangler.routes.outgoing import Headers, edit_headers, target_for
from strangler.routes.parse import parse
from strangler.routes.units import format_percent, format_size, parse_duration, parse_percent, parse_size
from strangler.routes.values import parse_upstream_url

__all__ = [
    "METHOD_OVERRIDES",
    "MINTED_COOKIE",
    "MOST_BYTES",
    "SAFE_METHODS",
    "WHOLE",
    "Accepted",
    "Address",
    "AnswerBridge",
    "Asked",
    "Breaking",
    "Bridge",
    "CannotEdit",
    "Claim",
    "CompareRules",
    "Decision",
    "Fault",
    "Faults",
    "HeaderEdits",
    "Headers",
    "Health",
    "IdentitySource",
    "Limits",
    "ListenerTls",
    "Match",
    "Matcher",
    "PathPattern",
    "Percent",
    "Ramp",
    "Retention",
    "Route",
    "Router",
    "RulePlace",
    "Segment",
    "ShadowHeaders",
    "Side",
    "Stage",
    "Table",
    "Timeouts",
    "Upstream",
    "UpstreamTls",
    "bucket",
    "caller_hash",
    "edit_headers",
    "equal_claims",
    "format_percent",
    "format_size",
    "may_write",
    "parse",
    "parse_duration",
    "parse_percent",
    "parse_size",
    "parse_upstream_url",
    "set_value",
    "shadow_bucket",
    "target_for",
    "why",
]
