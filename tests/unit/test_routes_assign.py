from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.routes import (
    METHOD_OVERRIDES,
    WHOLE,
    Address,
    Decision,
    IdentitySource,
    Match,
    Route,
    Router,
    Table,
    Upstream,
    bucket,
    caller_hash,
    shadow_bucket,
    why,
)
from strangler.routes.model import ShadowWrites
from strangler.routes.pattern import parse_path

VECTORS = json.loads((Path(__file__).parent.parent / "cases" / "assignment.json").read_text("utf-8"))[
    "vectors"
]
SOURCES = (IdentitySource("header", "x-user-id"), IdentitySource("cookie", "session"))


@dataclass
class Request:
    method: str = "GET"
    target: str = "/payments/42"
    client: str = "192.0.2.1"
    headers: Mapping[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        return self.headers.get(name)


def router(
    share: int = 0,
    shadow: int = 0,
    identity: tuple[IdentitySource, ...] = SOURCES,
    trust: tuple[str, ...] = (),
    writes: ShadowWrites = "never",
) -> Router:
    upstreams = {name: Upstream(name, name, 80) for name in ("monolith", "payments")}
    match = Match(parse_path("/payments/{payment_id}"))
    route = Route("payment-read", match, "payments", share, shadow, shadow_writes=writes)
    networks = tuple(ip_network(network) for network in trust)
    return Router(Table(Address("", 0), Address("", 0), identity, upstreams, "monolith", (route,), networks))


def no_minting() -> str:
    raise AssertionError("minted an identity that nothing depends on")


def decide(on: Router, mint: Any = no_minting, **request: Any) -> Decision:
    return on.decide(Request(**request), mint)


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_the_published_vectors(vector: dict[str, Any]) -> None:
    assert bucket(vector["route"], vector["identity"]) == vector["bucket"]
    assert shadow_bucket(vector["route"], vector["identity"]) == vector["shadow_bucket"]


def test_there_are_vectors_enough_and_some_are_not_ascii() -> None:
    assert len(VECTORS) >= 40
    assert sum(not (vector["route"] + vector["identity"]).isascii() for vector in VECTORS) >= 10


def test_the_hash_is_xxh64() -> None:
    assert caller_hash("") == 0xEF46DB3751D8E999


def test_an_identity_that_is_no_utf_8_counts_as_the_bytes_that_came() -> None:
    identity = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert bucket("r", identity) == xxhash.xxh64_intdigest(b"r:caf\xe9") % WHOLE


def test_a_request_that_no_route_claims_is_the_legacy_sides() -> None:
    decision = decide(router(share=WHOLE, shadow=WHOLE), target="/orders")
    assert (decision.route, decision.side, decision.upstream.name, decision.shadow) == (
        None,
        "legacy",
        "monolith",
        False,
    )
    assert why(decision) == "no route claims this request: legacy answers"


@pytest.mark.parametrize(
    ("share", "side", "upstream"), [(0, "legacy", "monolith"), (WHOLE, "extracted", "payments")]
)
def test_a_whole_share_asks_for_nobodys_identity(share: int, side: str, upstream: str) -> None:
    decision = decide(router(share=share), headers={"x-user-id": "7"})
    assert (decision.side, decision.upstream.name, decision.parameters) == (
        side,
        upstream,
        {"payment_id": "42"},
    )
    assert (decision.identity, decision.bucket, decision.minted) == (None, None, None)


def test_the_extracted_side_answers_below_the_share() -> None:
    edge = bucket("payment-read", "7")
    assert decide(router(share=edge), headers={"x-user-id": "7"}).side == "legacy"
    assert decide(router(share=edge + 1), headers={"x-user-id": "7"}).side == "extracted"


@pytest.mark.parametrize(
    ("headers", "identity", "source"),
    [
        ({"x-user-id": "7", "cookie": "session=s"}, "7", "header:x-user-id"),
        ({"x-user-id": " 7\t", "cookie": "session=s"}, "7", "header:x-user-id"),
        ({"x-user-id": "", "cookie": "a=b; session=s; strangler_id=m"}, "s", "cookie:session"),
        ({"cookie": "session=; strangler_id=m"}, "m", "cookie:strangler_id"),
        ({}, "minted", "minted"),
        ({"cookie": "xsession=s; session"}, "minted", "minted"),
    ],
)
def test_the_first_identity_present_wins(headers: dict[str, str], identity: str, source: str) -> None:
    decision = decide(router(share=50_000), lambda: "minted", headers=headers)
    assert (decision.identity, decision.source) == (identity, source)
    assert decision.bucket == bucket("payment-read", identity)
    assert decision.minted == ("minted" if source == "minted" else None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("session=s", "s"),
        ("a=b;session=s", "s"),
        ("a=b;\t session=s ;c=d", "s"),
        ("session=s=t; session=u", "s=t"),
        ('session="s t"', '"s t"'),
        ("my_session=x; session=s", "s"),
        ("a=x session=no; session=s", "s"),
        ("Session=no; session=s", "s"),
    ],
)
def test_cookies(field: str, value: str) -> None:
    assert decide(router(share=1), headers={"cookie": field}).identity == value


@pytest.mark.parametrize(
    ("method", "share", "shadow", "minted"),
    [
        ("GET", 0, WHOLE, False),
        ("GET", WHOLE, WHOLE, False),
        ("GET", 0, 1, True),
        ("GET", WHOLE, 1, True),
        ("POST", 0, 1, False),
        ("POST", 1, 0, True),
        ("GET", 99_999, 0, True),
    ],
)
def test_an_identity_is_minted_only_when_the_outcome_depends_on_it(
    method: str, share: int, shadow: int, minted: bool
) -> None:
    calls: list[str] = []

    def mint() -> str:
        calls.append("new")
        return "new"

    decision = decide(router(share, shadow), mint, method=method)
    assert bool(calls) == minted
    assert decision.minted == ("new" if minted else None)


def test_a_copy_carries_the_caller_when_there_is_one() -> None:
    on = router(shadow=WHOLE)
    decision = decide(on, headers={"x-user-id": "7"})
    assert (decision.shadow, decision.identity, decision.bucket) == (True, "7", None)
    assert decide(on).identity is None


def test_only_safe_methods_are_copied() -> None:
    copied = {
        m
        for m in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "get")
        if decide(router(shadow=WHOLE), method=m).shadow
    }
    assert copied == {"GET", "HEAD", "OPTIONS"}


def test_a_sampled_copy_is_taken_below_the_shadows_share() -> None:
    edge = shadow_bucket("payment-read", "7")
    assert not decide(router(shadow=edge), headers={"x-user-id": "7"}).shadow
    assert decide(router(shadow=edge + 1), headers={"x-user-id": "7"}).shadow


@pytest.mark.parametrize(
    ("client", "headers", "side"),
    [
        ("10.1.2.3", {"strangler-side": "extracted"}, "extracted"),
        ("::ffff:10.1.2.3", {"strangler-side": "extracted"}, "extracted"),
        ("10.1.2.3", {"strangler-side": "Extracted"}, "legacy"),
        ("10.1.2.3", {"strangler-side": "both"}, "legacy"),
        ("192.0.2.1", {"strangler-side": "extracted"}, "legacy"),
        ("", {"strangler-side": "extracted"}, "legacy"),
        # A trusted proxy speaks for somebody else, who is not trusted.
        ("10.1.2.3", {"strangler-side": "extracted", "x-forwarded-for": "192.0.2.1"}, "legacy"),
        ("10.1.2.3", {"strangler-side": "extracted", "x-forwarded-for": "10.0.0.9, 192.0.2.1"}, "legacy"),
        ("10.1.2.3", {"strangler-side": "extracted", "x-forwarded-for": "unknown"}, "legacy"),
        ("10.1.2.3", {"strangler-side": "extracted", "x-forwarded-for": "10.0.0.9"}, "extracted"),
    ],
)
def test_only_trusted_callers_choose_their_side(client: str, headers: dict[str, str], side: str) -> None:
    decision = decide(router(trust=("10.0.0.0/8",)), client=client, headers=headers)
    assert decision.side == side
    assert decision.forced == (side == "extracted")


def test_without_trusted_networks_nobody_chooses() -> None:
    assert decide(router(), client="127.0.0.1", headers={"strangler-side": "extracted"}).side == "legacy"


def test_a_forced_side_needs_no_identity_but_a_sample_still_does() -> None:
    headers = {"strangler-side": "legacy"}
    decision = decide(router(share=50_000, trust=("10.0.0.0/8",)), client="10.0.0.1", headers=headers)
    assert (decision.side, decision.forced, decision.bucket) == ("legacy", True, None)
    on = router(share=50_000, shadow=50_000, trust=("10.0.0.0/8",))
    decision = on.decide(Request(client="10.0.0.1", headers=headers), lambda: "new")
    assert (decision.side, decision.minted, decision.bucket) == ("legacy", "new", None)
    assert decision.shadow == (shadow_bucket("payment-read", "new") < 50_000)


@pytest.mark.parametrize(
    ("client", "forwarded", "identity"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1,198.51.100.7:4711 ,, 10.0.0.2:80", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, unknown, 10.0.0.2", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
    ],
)
def test_the_client_address_is_the_last_one_that_is_not_trusted(
    client: str, forwarded: str | None, identity: str
) -> None:
    on = router(share=50_000, identity=(IdentitySource("client-address"),), trust=("10.0.0.0/8",))
    decision = decide(on, client=client, headers={"x-forwarded-for": forwarded} if forwarded else {})
    assert (decision.identity, decision.source) == (identity, "client-address")


def test_a_peer_without_an_address_is_no_identity() -> None:
    on = router(share=50_000, identity=(IdentitySource("client-address"),))
    assert decide(on, lambda: "new", client="").source == "minted"


NAMES = st.text(min_size=1, max_size=12)
PERCENTS = st.integers(0, WHOLE)


@settings(deadline=None)
@given(NAMES, PERCENTS, PERCENTS)
def test_nobody_moves_back_while_a_share_rises(identity: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    request = Request(headers={"cookie": f"session={identity}"} if identity.isalnum() else {"x-user-id": "7"})
    before = router(share=low).decide(request, no_minting)
    after = router(share=high).decide(request, no_minting)
    assert (before.side, after.side) != ("extracted", "legacy")


@settings(deadline=None)
@given(NAMES, PERCENTS, PERCENTS)
def test_a_smaller_sample_is_contained_in_a_larger_one(identity: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    request = Request(headers={"x-user-id": identity.strip(" \t") or "7"})
    smaller, larger = (router(shadow=shadow).decide(request, lambda: "7") for shadow in (low, high))
    assert larger.shadow or not smaller.shadow


def chi_square(buckets: list[int], cells: int) -> float:
    counts = [0] * cells
    for here in buckets:
        counts[here * cells // WHOLE] += 1
    expected = len(buckets) / cells
    return sum((count - expected) ** 2 / expected for count in counts)


@pytest.mark.parametrize("name", ["payment-read", "payment-write", "カタログ"])
@pytest.mark.parametrize(
    "identities", [range(20_000), [f"user-{n:08}" for n in range(20_000)]], ids=["numbers", "names"]
)
def test_buckets_are_uniform(name: str, identities: list[Any]) -> None:
    # 99 degrees of freedom: a fair draw stays below 148 in 999 of 1000 cases.
    assert chi_square([bucket(name, str(identity)) for identity in identities], 100) < 148
    assert chi_square([shadow_bucket(name, str(identity)) for identity in identities], 100) < 148


def test_two_routes_move_different_callers_first_and_so_does_the_sample() -> None:
    callers = [str(n) for n in range(20_000)]

    def first(draw: Any, name: str) -> set[str]:
        return {caller for caller in callers if draw(name, caller) < 10_000}

    one = first(bucket, "payment-read")
    for other in (first(bucket, "payment-write"), first(shadow_bucket, "payment-read")):
        assert 1_700 < len(other) < 2_300
        assert 120 < len(one & other) < 290  # a tenth of a tenth


def test_why_says_what_happened() -> None:
    seven = {"headers": {"x-user-id": "7"}}
    assert why(decide(router(share=50_000), **seven)) == (
        "route payment-read: caller 7 (header:x-user-id) is in bucket 53 341, "
        "and the share of 50% takes buckets below 50 000: legacy answers"
    )
    assert why(decide(router(share=0), **seven)) == (
        "route payment-read: the share is 0%, no caller has moved: legacy answers"
    )
    assert why(decide(router(share=WHOLE), **seven)) == (
        "route payment-read: the share is 100%, every caller has moved: extracted answers"
    )
    assert why(decide(router(share=99_999), lambda: "m")).startswith(
        "route payment-read: a new caller, m (minted), is"
    )
    forced = decide(router(trust=("192.0.2.0/24",)), headers={"strangler-side": "extracted"})
    assert (
        why(forced)
        == "route payment-read: a trusted caller asked for it by Strangler-Side: extracted answers"
    )


def test_a_decision_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        decide(router()).side = "extracted"  # type: ignore[misc]


WRITES = [
    *(
        {"method": method}
        for method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND", "BREW", "get", "Post", "")
    ),
    *({"headers": {name: value}} for name in METHOD_OVERRIDES for value in ("DELETE", "GET", "")),
]


@pytest.mark.parametrize("asked", WRITES, ids=str)
@pytest.mark.parametrize("share", [0, 1, WHOLE])
def test_a_write_is_copied_only_where_the_route_says_marked(asked: dict[str, Any], share: int) -> None:
    headers = {"x-user-id": "7", **asked.get("headers", {})}
    asked = {**asked, "headers": headers}
    assert decide(router(share, WHOLE), **asked).shadow is False
    marked = decide(router(share, WHOLE, writes="marked"), **asked)
    assert marked.shadow is True
    assert marked.side == decide(router(share, WHOLE), **asked).side
    assert decide(router(share, 0, writes="marked"), **asked).shadow is False


def test_a_sample_of_marked_writes_is_drawn_like_one_of_reads() -> None:
    def copied(method: str) -> list[bool]:
        on = router(0, 30_000, writes="marked")
        return [decide(on, method=method, headers={"x-user-id": str(n)}).shadow for n in range(200)]

    assert copied("POST") == copied("GET")
    assert 30 < sum(copied("POST")) < 90


@given(
    st.from_regex(r"[a-zA-Z0-9-]{1,20}", fullmatch=True),
    st.lists(
        st.one_of(st.integers(0, WHOLE), st.sampled_from([0, 1_000, 25_000, WHOLE])), min_size=2, max_size=12
    ),
)
def test_a_caller_changes_sides_only_when_the_share_crosses_its_bucket(who: str, shares: list[int]) -> None:
    here = bucket("payment-read", who)
    asked = Request(headers={"x-user-id": who})
    sides = [router(share).decide(asked, no_minting).side for share in shares]
    for before, after, one, other in zip(shares, shares[1:], sides, sides[1:], strict=False):
        crossed = min(before, after) <= here < max(before, after)
        assert (one != other) is crossed
