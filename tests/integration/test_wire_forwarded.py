"""What is said of the caller, and nothing else. RFC 9110 sections 7.6.3; RFC 7239; W3C Trace Context."""

from pathlib import Path

import pytest

from tests.support.gateway import gateway, get
from tests.support.wire import Arrived, hear, recording

TRUST = "trust: [127.0.0.0/8]"
OURS = [
    b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: shop",
    b"Via: 1.1 strangler",
]
PARENT = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def sent(tmp_path: Path, *fields: str, top: str = "", trace: str = "none") -> list[bytes]:
    """The fields that the upstream is sent when a caller sends these."""
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False, top=top, trace=trace) as made:
        await hear(made.port, get("/", *fields), quiet=0.2)
    return arrived.fields()


async def test_nothing_is_added_dropped_or_recased_beyond_what_is_documented(tmp_path: Path) -> None:
    fields = [
        "x-CASE: 1",
        "Cookie: a=1",
        "X-Case: 2",
        "Accept-Encoding: gzip",
        "user-agent:",
        "X-Real-IP: 9.9.9.9",
    ]
    assert await sent(tmp_path, *fields) == [
        b"Host: shop",
        *(field.replace("agent:", "agent: ").encode() for field in fields),
        *OURS,
    ]


CLAIMS = [
    "Forwarded: for=10.0.0.1;proto=https",
    "X-Forwarded-For: 10.0.0.1",
    "x-forwarded-proto: https",
    "X-Forwarded-Host: evil",
    "Strangler-Side: extracted",
    "Strangler-Shadow: 1",
    "strangler-SHADOW: 0",
    "Strangler_Shadow: 1",
]


async def test_a_strangers_claims_are_replaced(tmp_path: Path) -> None:
    assert await sent(tmp_path, *CLAIMS) == [b"Host: shop", *OURS]


async def test_a_trusted_proxys_are_kept_and_continued(tmp_path: Path) -> None:
    assert await sent(tmp_path, *CLAIMS, "Via: 1.1 edge", top=TRUST) == [
        b"Host: shop",
        b"x-forwarded-proto: https",
        b"X-Forwarded-Host: evil",
        b'Forwarded: for=10.0.0.1;proto=https, for=127.0.0.1;host="shop";proto=http',
        b"X-Forwarded-For: 10.0.0.1, 127.0.0.1",
        b"Via: 1.1 edge, 1.1 strangler",
    ]


async def test_a_trace_is_passed_on_unchanged(tmp_path: Path) -> None:
    fields = await sent(tmp_path, PARENT, "tracestate: a=1,b=2", trace="100%")
    assert fields == [b"Host: shop", PARENT.encode(), b"tracestate: a=1,b=2", *OURS]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["traceparent: nonsense", "tracestate: a=1"],
        [PARENT, PARENT],
        ["traceparent: 00-" + "0" * 32 + "-b7ad6b7169203331-01"],
        ["tracestate: a=1"],
    ],
)
async def test_a_trace_is_begun_where_there_is_none(tmp_path: Path, fields: list[str]) -> None:
    got = await sent(tmp_path, *fields, trace="100%")
    assert got[:-1] == [b"Host: shop", *OURS]
    name, version, trace, parent, flags = got[-1].replace(b": ", b"-").split(b"-")
    assert (name, version, len(trace), len(parent), flags) == (b"traceparent", b"00", 32, 16, b"01")


async def test_a_trace_is_not_begun_when_nobody_wants_it(tmp_path: Path) -> None:
    assert not any(b"trace" in line for line in await sent(tmp_path, trace="none"))
