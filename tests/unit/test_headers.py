"""RFC 9110 sections 7.6.1 (Connection), 7.6.3 (Via)."""

from hypothesis import given
from hypothesis import strategies as st

from strangler.http import headers as fields


def test_hop_by_hop_fields_stay_behind() -> None:
    kept = fields.end_to_end(
        [
            (b"Host", b"shop"),
            (b"Connection", b"keep-alive, X-Private"),
            (b"Keep-Alive", b"timeout=5"),
            (b"TE", b"trailers"),
            (b"Upgrade", b"h2c"),
            (b"X-Private", b"1"),
            (b"transfer-encoding", b"chunked"),
            (b"Accept", b"*/*"),
        ]
    )
    assert kept == [(b"Host", b"shop"), (b"Accept", b"*/*")]


def test_a_caller_cannot_take_away_host_or_length_by_naming_them() -> None:
    given_fields = [(b"Host", b"shop"), (b"Content-Length", b"3"), (b"Connection", b"host, content-length")]
    assert fields.end_to_end(given_fields) == given_fields[:2]


names = st.sampled_from([b"Accept", b"Set-Cookie", b"x-a", b"X-A", b"Cookie"])


@given(st.lists(st.tuples(names, st.binary(max_size=5)), max_size=10))
def test_order_case_and_repetition_are_kept(sent: list[tuple[bytes, bytes]]) -> None:
    assert fields.end_to_end(sent) == sent


def forwarded(*sent: tuple[bytes, bytes], believed: bool) -> list[tuple[bytes, bytes]]:
    return fields.forwarded(list(sent), peer=b"192.0.2.7", host=b"shop", scheme=b"http", believed=believed)


def test_forwarding_fields_of_a_stranger_are_replaced() -> None:
    assert forwarded(
        (b"X-Forwarded-For", b"10.0.0.1"), (b"x-forwarded-proto", b"https"), (b"Accept", b"a"), believed=False
    ) == [
        (b"Accept", b"a"),
        (b"X-Forwarded-For", b"192.0.2.7"),
        (b"X-Forwarded-Proto", b"http"),
        (b"X-Forwarded-Host", b"shop"),
        (b"Via", b"1.1 strangler"),
    ]


def test_a_trusted_proxy_is_believed_and_the_chains_grow() -> None:
    assert forwarded(
        (b"X-Forwarded-For", b"10.0.0.1"),
        (b"X-Forwarded-Proto", b"https"),
        (b"Via", b"1.1 edge"),
        believed=True,
    ) == [
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-For", b"10.0.0.1, 192.0.2.7"),
        (b"X-Forwarded-Host", b"shop"),
        (b"Via", b"1.1 edge, 1.1 strangler"),
    ]
