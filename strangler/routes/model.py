"""The table of routes as frozen values: what routes.yaml says, once it has been understood.

Nothing here reads, writes or waits. `parse` makes these values, `match` and `assign` ask them questions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

Side = Literal["legacy", "extracted"]
Stage = Literal["legacy", "shadow", "cutover", "extracted"]
ShadowWrites = Literal["never", "marked"]

#: A percentage in thousandths of a percent: 0 … 100_000. So `bucket < share` decides without a float.
Percent = int
WHOLE: Percent = 100_000

#: What an upstream may take before a request can be sent at all, unless the file says otherwise (seconds).
MOST_BEFORE = 5.0

#: RFC 9110 section 9.2.1.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

#: Headers in which a request of one method asks to be treated as one of another, as some frameworks do.
METHOD_OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an upstream may take, in seconds; None is for ever."""

    connect: float = MOST_BEFORE  # making a connection, TLS included
    wait: float = MOST_BEFORE  # for a free connection of the pool
    first_byte: float = 30.0  # from the request being sent to the head of the answer
    idle: float = 30.0  # the longest silence inside an answer, or of an upstream that does not read
    total: float | None = None  # from the request to the last byte of the answer
    tunnel: float = 600.0  # silence both ways on an upgraded connection

    @classmethod
    def of(cls, silence: float) -> Timeouts:
        """What `timeout: 2s` stands for: no silence is longer, and nothing before the request is either."""
        short = min(MOST_BEFORE, silence)
        return cls(connect=short, wait=short, first_byte=silence, idle=silence)


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """How to speak TLS with an upstream. `ca`, `certificate` and `key` are paths of PEM files."""

    ca: str | None = None  # trusted instead of the system's
    certificate: str | None = None  # ours, when the upstream asks for one
    key: str | None = None
    verify: bool = True
    name: str | None = None  # expected in the upstream's certificate, and asked for; None is the URL's host
    line: int = field(default=0, compare=False)  # where the file says so


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """The certificate that callers are shown: paths of PEM files."""

    certificate: str
    key: str
    line: int = field(default=0, compare=False)  # where the file says so


@dataclass(frozen=True, slots=True)
class Limits:
    """What one caller may take of the listener. Sizes in bytes, times in seconds; None is no limit."""

    head: int = 64 * 1024  # request line and fields together
    body: int | None = None
    head_time: float = 10.0  # from the first byte of a request to the end of its head
    idle: float = 75.0  # between two requests on one connection
    stall: float = 60.0  # a caller who neither sends what it announced nor reads its answer
    connections: int = 10_000  # open at once, per worker
    fallbacks: int = 256  # requests of extracted sides that the legacy side answers at once, per worker


@dataclass(frozen=True, slots=True)
class Retention:
    """How long evidence is kept, in days, and how many bytes of it."""

    days: float = 90.0
    size: int = 200 * 1024**2


@dataclass(frozen=True, slots=True)
class Health:
    """How an upstream's endpoints are asked whether they are well. Times in seconds."""

    path: str
    every: float = 5.0
    timeout: float = 2.0
    down: int = 2  # so many bad answers in a row take an endpoint out
    up: int = 2  # so many good ones bring it back


@dataclass(frozen=True, slots=True)
class Breaking:
    """When an endpoint is asked no more: of at least `least` requests within `window` seconds, a share failed."""

    failures: Percent = 50_000
    least: int = 5
    window: float = 10.0
    open: float = 5.0  # seconds until it is tried again


@dataclass(frozen=True, slots=True)
class Upstream:
    """A named service. `tls` is None for plain HTTP; `breaker` None never breaks."""

    name: str
    host: str
    port: int
    timeouts: Timeouts = field(default_factory=Timeouts)
    connections: int = 512  # the pool's size, per worker
    tls: UpstreamTls | None = None
    health: Health | None = None
    breaker: Breaking | None = field(default_factory=Breaking)
    more: tuple[Address, ...] = ()  # endpoints beside the first

    @property
    def endpoints(self) -> tuple[Address, ...]:
        """Every place where the service answers, the first of the file first."""
        return Address(self.host, self.port), *self.more

    def apart(self) -> dict[str, Upstream]:
        """Each endpoint as an upstream of its own, under its own name: `payments 10.0.3.7:8002`."""
        return {
            f"{self.name} {address}": replace(self, host=address.host, port=address.port, more=())
            for address in self.endpoints
        }

    @property
    def authority(self) -> str:
        """The first endpoint's host and port as they stand in a URL (RFC 3986 section 3.2)."""
        return str(Address(self.host, self.port))


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a path pattern: `literal`, or a parameter, with or without a regular expression."""

    literal: str | None = None
    parameter: str | None = None
    regex: str | None = None


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A path pattern. `rest` is True when it ends in `/**`."""

    text: str
    segments: tuple[Segment, ...]
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """What a route claims. `methods` None is any method; `headers` names are lower case."""

    path: PathPattern
    methods: frozenset[str] | None = None
    host: str | None = None  # exact, or `*.example.com`; lower case, without port
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderEdits:
    """Headers set and removed. Names keep the case they were written in."""

    set: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A kind of difference that a team has decided to live with, up to and including the day `until`."""

    fingerprint: str
    reason: str
    until: date
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class RulePlace:
    """Where in the file a rule stands: the key that it stands under, and its own text."""

    key: str
    place: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class ShadowHeaders:
    """Edits to the copies alone, by the side that is asked."""

    legacy: HeaderEdits = field(default_factory=HeaderEdits)
    extracted: HeaderEdits = field(default_factory=HeaderEdits)


@dataclass(frozen=True, slots=True)
class AnswerBridge:
    """What is done to one side's answer before it is compared. `body` is a JMESPath expression, or None."""

    headers: HeaderEdits = field(default_factory=HeaderEdits)
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """How the answers of both sides are brought to one shape."""

    legacy: AnswerBridge = field(default_factory=AnswerBridge)
    extracted: AnswerBridge = field(default_factory=AnswerBridge)


@dataclass(frozen=True, slots=True)
class CompareRules:
    """The rules under `compare:`, as text. The comparing side compiles them."""

    ignore: tuple[str, ...] = ()
    only: tuple[str, ...] = ()  # nothing else is compared; empty: everything is
    unordered: tuple[str, ...] = ()
    keyed: tuple[tuple[str, str], ...] = ()  # an array, and the member that identifies its elements
    tolerance: tuple[tuple[str, str], ...] = ()
    accept: tuple[Accepted, ...] = ()
    noise: Percent = (
        5_000  # of the shadowed safe requests, the share that the side that answered is asked twice
    )
    exact: tuple[str, ...] = ()  # never taken for noise
    confirm: float | None = 1.0  # seconds until both sides are asked again about a mismatch; None: never
    redact: tuple[str, ...] = ()  # kept as a keyed hash only
    bridge: Bridge = field(default_factory=Bridge)
    places: tuple[RulePlace, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Ramp:
    """The steps that a share climbs by itself, and what the evidence must show before each. Rates are 0 … 1."""

    steps: tuple[Percent, ...] = (1_000, 5_000, 25_000, 50_000, 100_000)
    hold: float = 600.0  # seconds on each step, at least
    match: float | None = 0.999  # of the compared pairs; None: nothing is asked of them
    errors: float | None = 0.001  # by so much the extracted side's error rate may exceed the legacy side's
    p99: float | None = 1.2  # so many times the legacy side's 99th percentile of latency
    coverage: float = 0.95  # of the eligible exchanges
    requests: int | None = None  # different requests; None: 20, or 1 where the path has no parameter
    callers: int = 20  # different callers
    back: Literal["zero", "step"] = "zero"  # where a rollback goes: to 0 %, or to the last good step


@dataclass(frozen=True, slots=True)
class Route:
    """A method-and-path pattern, with the upstream that takes it over. `line` is where the file says so."""

    name: str
    match: Match
    extracted: str
    share: Percent = 0
    shadow: Percent = 0
    rewrite: str | None = None
    headers: HeaderEdits = field(default_factory=HeaderEdits)
    compare: CompareRules = field(default_factory=CompareRules)
    line: int = 0
    shadow_writes: ShadowWrites = "never"
    shadow_headers: ShadowHeaders = field(default_factory=ShadowHeaders)
    fallback: bool | None = None  # None: for requests that change nothing
    ramp: Ramp | None = None

    @property
    def stage(self) -> Stage:
        """Derived from the share and the shadow, never written."""
        if self.share == WHOLE:
            return "extracted"
        if self.share > 0:
            return "cutover"
        return "shadow" if self.shadow > 0 else "legacy"


@dataclass(frozen=True, slots=True)
class IdentitySource:
    """Where an identity is looked for: `header:NAME`, `cookie:NAME` or `client-address` (name is then "")."""

    kind: Literal["header", "cookie", "client-address"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Table:
    """All of routes.yaml. `digest` is the SHA-256 of the file's bytes, in hex: the table's version."""

    listen: Address
    admin: Address
    identity: tuple[IdentitySource, ...]
    upstreams: dict[str, Upstream]
    legacy: str
    routes: tuple[Route, ...]
    trust: tuple[IPv4Network | IPv6Network, ...] = ()
    limits: Limits = field(default_factory=Limits)
    tls: ListenerTls | None = None
    access_log: str | None = None  # a path, or `stdout`
    trace: Percent | None = WHOLE  # of the traces begun here, the share marked as sampled; None begins none
    evidence: Retention = field(default_factory=Retention)
    digest: str = ""
    kept: tuple[
        tuple[str, Percent], ...
    ] = ()  # routes whose share the file could not be told, and what it says

    @property
    def version(self) -> str:
        """What tells this table from any other: the digest, and the shares that hold in place of the file's."""
        if not self.kept:
            return self.digest
        return f"{self.digest}+" + ",".join(f"{name}={self.share_of(name)}" for name, _ in self.kept)

    def share_of(self, name: str) -> Percent | None:
        """The share of the route of that name, or None."""
        route = self.route(name)
        return None if route is None else route.share

    def route(self, name: str) -> Route | None:
        """The route of that name, or None."""
        return next((route for route in self.routes if route.name == name), None)
