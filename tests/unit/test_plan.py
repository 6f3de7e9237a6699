"""What goes on the wire. RFC 9112 sections 3.2 (request target) and 6 (message body)."""

from strangler.gateway.inbound import Inbound
from strangler.gateway.plan import (
    answer_plan,
    chunk,
    informational,
    last_chunk,
    problem,
    request_head,
    shared_fields,
    switching,
)
from strangler.http.headers import end_to_end
from strangler.http.reading import Head
from strangler.routes import Decision, Route, Router, parse

TABLE = """
version: 1
upstreams: {old: {url: "http://127.0.0.1:1"}, new: {url: "http://127.0.0.1:2"}}
legacy: old
routes:
  - {name: pay, match: "/pay/{id}", extracted: new, share: 100%, rewrite: "/v2/{id}",
     headers: {set: {X-New: "1", Via: edited}, remove: [X-Old]}}
"""


def asked(method: str, target: bytes, *fields: tuple[bytes, bytes], upgrade: bool = False) -> Inbound:
    inbound = Inbound("192.0.2.7")
    inbound.url = target
    inbound.fields = [(b"Host", b"shop"), *fields]
    inbound.understand(method, "1.1", keep_alive=True, upgrade=upgrade)
    return inbound


def sent(inbound: Inbound, *, begun: bytes = b"", believed: bool = False) -> bytes:
    table = parse(TABLE.encode(), file="routes.yaml", check_rule=lambda *rule: None)
    decision = Router(table).decide(inbound, lambda: "minted")
    assert isinstance(decision, Decision)
    assert isinstance(decision.route, Route | None)
    shared = shared_fields(inbound, peer=b"192.0.2.7", scheme=b"https", believed=believed, begun=begun)
    return request_head(decision, inbound, shared)


OURS = b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\nVia: 1.1 strangler\r\n"


def test_legacy_is_sent_what_came_and_what_we_say_of_the_caller() -> None:
    assert sent(asked("GET", b"/a?b", (b"X-Old", b"1"), (b"Connection", b"X-Old"))) == (
        b"GET /a?b HTTP/1.1\r\nHost: shop\r\n" + OURS + b"\r\n"
    )


def test_the_extracted_side_is_sent_its_own_path_and_fields() -> None:
    assert sent(asked("GET", b"/pay/7?x", (b"X-Old", b"1"))) == (
        b"GET /v2/7?x HTTP/1.1\r\nHost: shop\r\n"
        b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\nVia: edited\r\n"
        b"X-New: 1\r\n\r\n"
    )


def test_a_trace_of_ours_comes_last_and_replaces_what_is_none() -> None:
    inbound = asked("GET", b"/", (b"TraceParent", b"nonsense"), (b"tracestate", b"a=1"), (b"A", b"b"))
    assert sent(inbound, begun=b"00-x") == (
        b"GET / HTTP/1.1\r\nHost: shop\r\nA: b\r\n" + OURS + b"traceparent: 00-x\r\n\r\n"
    )


def test_framing_upgrades_and_trailers_are_said_by_us() -> None:
    chunked = asked("POST", b"/", (b"Transfer-Encoding", b"chunked"), (b"TE", b"gzip, trailers;q=0.5"))
    assert sent(chunked).endswith(b"TE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n")
    upgrade = asked("GET", b"/", (b"Connection", b"upgrade"), (b"Upgrade", b"chat/1"), upgrade=True)
    assert sent(upgrade).endswith(b"Upgrade: chat/1\r\nConnection: Upgrade\r\n\r\n")


def head(
    status: int = 200, *headers: tuple[bytes, bytes], length: bytes | None = None, chunked: bool = False
) -> Head:
    fields = list(headers)
    return Head(status, b"OK", fields, end_to_end(fields), length, chunked)


def planned(
    answer: Head, method: str = "GET", *, http_1_0: bool = False, close: bool = False
) -> tuple[bytes, bool, bool]:
    plan = answer_plan(answer, method=method, http_1_0=http_1_0, close=close, minted=None)
    return plan.head, plan.chunked, plan.close


def test_a_sized_answer_keeps_its_size_and_every_field_its_case_and_place() -> None:
    fields = ((b"SET-cookie", b"a=1"), (b"Content-Length", b"2"), (b"set-Cookie", b"b=2"))
    assert planned(head(200, *fields, length=b"2")) == (
        b"HTTP/1.1 200 OK\r\nSET-cookie: a=1\r\nContent-Length: 2\r\nset-Cookie: b=2\r\n\r\n",
        False,
        False,
    )


def test_an_answer_without_a_size_is_chunked_by_us() -> None:
    wanted = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True, False)
    assert planned(head()) == wanted
    assert planned(head(200, (b"transfer-encoding", b"chunked"), chunked=True)) == wanted


def test_an_http_1_0_caller_gets_no_chunks_and_a_closed_connection() -> None:
    assert planned(head(), http_1_0=True) == (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", False, True)


def test_an_http_1_0_caller_who_asked_is_kept() -> None:
    answer = head(200, (b"Content-Length", b"0"), length=b"0")
    assert planned(answer, http_1_0=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        False,
        False,
    )


def test_answers_without_a_body_promise_none() -> None:
    assert planned(head(204, (b"Content-Length", b"0"), length=b"0"))[0] == b"HTTP/1.1 204 OK\r\n\r\n"
    with_length = head(200, (b"Content-Length", b"9"), length=b"9")
    assert b"Content-Length: 9" in planned(with_length, "HEAD")[0]
    assert planned(head(), "HEAD") == (b"HTTP/1.1 200 OK\r\n\r\n", False, False)
    assert planned(head(304), "GET") == (b"HTTP/1.1 304 OK\r\n\r\n", False, False)


def test_a_minted_identity_is_a_cookie_that_scripts_cannot_read() -> None:
    plan = answer_plan(head(204), method="GET", http_1_0=False, close=False, minted="abc")
    assert b"Set-Cookie: strangler_id=abc; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax\r\n" in plan.head


def test_a_cookie_set_over_tls_stays_there() -> None:
    plan = answer_plan(head(204), method="GET", http_1_0=False, close=False, minted="abc", secure=True)
    assert b"SameSite=Lax; Secure\r\n" in plan.head


def test_trailers_are_announced_only_where_they_go_on() -> None:
    answer = head(200, (b"Trailer", b"X-Sum"), (b"Transfer-Encoding", b"chunked"), chunked=True)
    assert b"Trailer: X-Sum" in planned(answer)[0]
    assert b"Trailer" not in planned(answer, http_1_0=True)[0]
    assert chunk(b"abc") + last_chunk([(b"X-Sum", b"3"), (b"Host", b"evil")]) == (
        b"3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n"
    )
    assert last_chunk() == b"0\r\n\r\n"


def test_an_informational_answer_keeps_its_fields() -> None:
    hints = head(103, (b"Link", b"</a>"), (b"Connection", b"close"))
    assert informational(hints) == b"HTTP/1.1 103 OK\r\nLink: </a>\r\n\r\n"


def test_only_a_protocol_that_was_asked_for_may_be_switched_to() -> None:
    switch = head(101, (b"Upgrade", b"Chat/1"), (b"Connection", b"upgrade"), (b"X", b"y"))
    assert switching(switch, b"h2c, chat/1") == (
        b"HTTP/1.1 101 OK\r\nX: y\r\nUpgrade: Chat/1\r\nConnection: Upgrade\r\n\r\n"
    )
    assert switching(switch, b"h2c") is None
    assert switching(head(101), b"h2c") is None


def test_a_problem_says_what_went_wrong() -> None:
    said = problem(503, "full", close=True, extra={"upstream": "new"}, headers=b"Retry-After: 1\r\n")
    assert said.startswith(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n")
    assert b"Connection: close\r\nRetry-After: 1\r\n\r\n{" in said
    assert problem(404, "no", close=False, without_body=True).endswith(b"\r\n\r\n")
