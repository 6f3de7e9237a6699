from __future__ import annotations

import re
import string
import time
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.compare import fault as rule_fault
from strangler.routes import (
    MOST_BYTES,
    WHOLE,
    Address,
    AnswerBridge,
    Bridge,
    CompareRules,
    Faults,
    HeaderEdits,
    Health,
    IdentitySource,
    Limits,
    ListenerTls,
    Match,
    PathPattern,
    Route,
    Router,
    Segment,
    ShadowHeaders,
    Table,
    Timeouts,
    Upstream,
    UpstreamTls,
    parse,
)

CASES = Path(__file__).parent.parent / "cases" / "routes"

WHOLE_FILE = b"""\
version: 1
listen: "[::1]:8080"
admin: localhost:0
tls: {certificate: certs/proxy.pem, key: /etc/proxy.key}
limits: {head: 16KiB, body: 2MiB, head_time: 1s, idle: 2m, stall: 500ms, connections: 100}
access_log: logs/access.jsonl
trace: 0.5%
trust: [10.0.0.0/8, "::1"]
identity: [header:X-User-Id, cookie:session, client-address]

upstreams:
  monolith:  {url: http://127.0.0.1:8001}
  payments:  {url: "http://payments.internal", timeout: 250ms, health: "/healthz?deep=1"}
  secure:
    url: https://payments.internal
    timeout: {connect: 1s, wait: 2s, first_byte: 3s, idle: 4s, total: 5s, tunnel: 6s}
    connections: 7
    tls: {ca: certs/ca.pem, certificate: me.pem, key: ../me.key, verify: true, name: Pay.internal}
legacy: monolith   # answers the rest

routes:
  - name: payment-read
    match: GET,HEAD /payments/{payment_id:[0-9]+}/**
    extracted: payments
    share: 12.125%
    shadow: 100%
    rewrite: /v2/{payment_id}/**
    headers: {set: {Host: pay.internal, X-Flag: no}, remove: [Cookie]}
    shadow_writes: marked
    shadow_headers:
      legacy: {remove: [Cookie]}
      extracted: {set: {Authorization: Bearer sandbox}}
    compare:
      ignore: [$.at, "header:etag"]
      bridge: {legacy: {headers: {remove: [X-Old]}, body: "{id: order_id}"}, extracted: {body: data}}
  - name: 'payment write'
    match: {path: /payments, methods: "POST, PUT", host: "*.Shop.example", headers: {X-Beta: 1}, query: {v: 2}}
    extracted: payments
"""


def rule(key: str, text: str, how: str) -> str | None:
    if key == "bridge":
        return rule_fault(key, text, how)
    return None if text.startswith(("$", "header:")) else "write a JSON path such as $.updated_at"


def table(data: bytes | str) -> Table:
    return parse(
        data.encode() if isinstance(data, str) else data,
        file="routes.yaml",
        check_rule=rule,
    )


def faults(data: bytes) -> list[str]:
    with pytest.raises(Faults) as caught:
        table(data)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_fault_of_a_bad_file_is_reported_with_its_place(case: Path) -> None:
    with pytest.raises(Faults) as caught:
        parse(case.read_bytes(), file=case.name, check_rule=rule)
    expected = case.with_suffix(".faults").read_text("utf-8")
    assert beyond_syntax(str(caught.value)) == beyond_syntax(expected)


def beyond_syntax(lines: str) -> list[str]:
    # libyaml and PyYAML's own parser agree on the place of a syntax error, not on the words for it.
    return re.sub(r"(?<=: not YAML: ).*", "", lines).splitlines()


def test_every_case_has_a_file_and_its_faults() -> None:
    files = {path.stem for path in CASES.glob("*.yaml")}
    assert files == {path.stem for path in CASES.glob("*.faults")}
    assert len(files) >= 20


def test_a_whole_file() -> None:
    found = table(WHOLE_FILE.replace(b"'payment write'", b"payment-write"))
    read, write = found.routes
    assert (found.listen, found.admin) == (Address("::1", 8080), Address("localhost", 0))
    assert found.trust == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert [str(source) for source in found.identity] == [
        "header:x-user-id",
        "cookie:session",
        "client-address",
    ]
    assert found.upstreams == {
        "monolith": Upstream("monolith", "127.0.0.1", 8001),
        "payments": Upstream(
            "payments", "payments.internal", 80, timeouts=Timeouts.of(0.25), health=Health("/healthz?deep=1")
        ),
        "secure": Upstream(
            "secure",
            "payments.internal",
            443,
            timeouts=Timeouts(connect=1, wait=2, first_byte=3, idle=4, total=5, tunnel=6),
            connections=7,
            tls=UpstreamTls("certs/ca.pem", "me.pem", "../me.key", verify=True, name="pay.internal", line=18),
        ),
    }
    assert found.limits == Limits(16 * 1024, 2 * 1024**2, 1.0, 120.0, 0.5, 100)
    assert found.tls == ListenerTls("certs/proxy.pem", "/etc/proxy.key", line=4)
    assert (found.access_log, found.trace) == ("logs/access.jsonl", 500)
    assert found.legacy == "monolith"
    assert read == Route(
        name="payment-read",
        match=Match(
            PathPattern(
                "/payments/{payment_id:[0-9]+}/**",
                (Segment(literal="payments"), Segment(parameter="payment_id", regex="[0-9]+")),
                rest=True,
            ),
            frozenset({"GET", "HEAD"}),
        ),
        extracted="payments",
        share=12_125,
        shadow=100_000,
        rewrite="/v2/{payment_id}/**",
        headers=HeaderEdits((("Host", "pay.internal"), ("X-Flag", "no")), ("Cookie",)),
        compare=CompareRules(
            ("$.at", "header:etag"),
            bridge=Bridge(
                AnswerBridge(HeaderEdits(remove=("X-Old",)), "{id: order_id}"), AnswerBridge(body="data")
            ),
        ),
        shadow_writes="marked",
        shadow_headers=ShadowHeaders(
            HeaderEdits(remove=("Cookie",)), HeaderEdits((("Authorization", "Bearer sandbox"),))
        ),
        line=22,
    )
    assert write.match.methods == {"POST", "PUT"}
    assert (write.match.host, write.match.headers, write.match.query) == (
        "*.shop.example",
        (("x-beta", "1"),),
        (("v", "2"),),
    )
    assert (write.share, write.shadow, write.stage) == (0, 0, "legacy")


def test_the_shortest_file_has_the_documented_defaults() -> None:
    found = table("version: 1\nupstreams: {a: {url: http://a}}\nlegacy: a\nroutes:\n")
    assert (str(found.listen), str(found.admin)) == ("127.0.0.1:8080", "127.0.0.1:9090")
    assert (found.identity, found.trust, found.routes) == ((), (), ())
    assert found.upstreams["a"] == Upstream("a", "a", 80, Timeouts(), 512, None, None)
    assert found.upstreams["a"].timeouts == Timeouts(5.0, 5.0, 30.0, 30.0, None, 600.0)
    assert found.limits == Limits(65_536, None, 10.0, 75.0, 60.0, 10_000)
    assert (found.tls, found.access_log, found.trace) == (None, None, WHOLE)


def test_the_examples_of_the_reference_are_taken() -> None:
    page = (Path(__file__).parents[2] / "docs" / "routes.md").read_text("utf-8")
    whole, *parts = re.findall(r"```yaml\n(.*?)```", page, re.S)
    assert [route.name for route in table(whole).routes] == ["payment-read"]
    start = "  - name: r\n    extracted: payments\n"
    for part in parts:
        if part.startswith(("match:", "headers:", "compare:", "shadow_writes:", "shadow_headers:")):
            match = "" if part.startswith("match:") else "    match: /r\n"
            table(whole + start + match + "".join(f"    {line}\n" for line in part.splitlines()))
        else:
            head = (
                whole.replace("  payments:", "  unused:").replace("upstreams:\n", part)
                if "upstreams:" in part
                else ""
            )
            table(head or part + whole)


def test_the_digest_is_of_the_bytes() -> None:
    data = b"version: 1\nupstreams: {a: {url: http://a}}\nlegacy: a\n"
    assert table(data).digest != table(data + b"# a comment\n").digest
    assert len(table(data).digest) == 64


def test_line_endings_and_a_byte_order_mark_do_not_matter() -> None:
    data = WHOLE_FILE.replace(b"'payment write'", b"payment-write")
    plain, dressed = table(data), table(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    assert plain.routes == dressed.routes


def test_scalars_are_the_text_they_are_written_as() -> None:
    found = table(
        "version: '1'\nupstreams: {no: {url: http://a}, 1.10: {url: http://b}}\nlegacy: no\n"
        "routes: [{name: 0x10, match: /a, extracted: 1.10, headers: {set: {x-a: yes, x-b: 1e3, x-c: ~}}}]\n"
    )
    assert found.legacy == "no"
    assert found.routes[0].name == "0x10"
    assert found.routes[0].headers.set == (("x-a", "yes"), ("x-b", "1e3"), ("x-c", "~"))


def test_anchors_stand_for_what_they_name() -> None:
    found = table(
        "version: 1\nupstreams: {a: {url: &u http://a, timeout: &t 2s}, b: {url: *u, timeout: *t}}\nlegacy: a\n"
        "routes:\n"
        "  - {name: r, match: /r, extracted: b, share: &s 5%, compare: &c {ignore: [$.a]}}\n"
        "  - {name: s, match: /s, extracted: b, share: *s, shadow: *s, compare: *c}\n"
    )
    assert found.upstreams["b"].timeouts == Timeouts.of(2.0)
    assert (found.routes[1].share, found.routes[1].shadow) == (5000, 5000)
    assert found.routes[1].compare.ignore == ("$.a",)


def test_a_fault_in_an_anchor_is_reported_once_and_at_each_use_of_the_value() -> None:
    data = b"""\
version: 1
upstreams: {a: {url: http://a}, b: {url: http://b}}
legacy: a
routes:
  - {name: r, match: /r, extracted: b, share: &s 5, compare: &c {ignore: [x]}}
  - {name: s, match: /s, extracted: b, share: *s, compare: *c}
"""
    assert [line.partition(" error: ")[0] for line in faults(data)] == [
        "routes.yaml:5:47:",
        "routes.yaml:5:75:",
        "routes.yaml:6:47:",
    ]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "1:1: error: the file is empty"),
        (b"\xef\xbb\xbf", "1:1: error: the file is empty"),
        ("version: 1\n".encode("utf-16"), "1:1: error: the file is UTF-16; write it in UTF-8"),
        ("version: 1\n".encode("utf-16-be"), "1:1: error: the control character U+0000 cannot stand here"),
        ("version: 1\r\n# \xe9\xff".encode("latin-1"), "2:3: error: not UTF-8 from here on"),
        (b"version: 1\n# \xc3\xa9 \x00", "2:5: error: the control character U+0000 cannot stand here"),
        (b"version: 1\n\x1b[31m", "2:1: error: the control character U+001B cannot stand here"),
        (b"[" * 10_000, "1:33: error: nested more than 32 deep"),
        (b"{a: " * 10_000, "1:129: error: nested more than 32 deep"),
        (b"- " * 10_000, "1:65: error: nested more than 32 deep"),
        (b"#" * (MOST_BYTES + 1), "1:1: error: the file is larger than 4 MiB"),
        (
            b"[" + b"a," * 600_000 + b"]",
            "1:1000000: error: the file up to here stands for more than 500000 values",
        ),
    ],
)
def test_files_that_are_no_tables(data: bytes, line: str) -> None:
    assert faults(data) == [f"routes.yaml:{line}"]


def test_places_are_counted_in_characters() -> None:
    assert faults("version: 1\nlegacy: a\nupstreams: {'🦊é': {url: http://a, timout: 1s}}".encode()) == [
        "routes.yaml:2:9: error: legacy 'a': no upstream has this name",
        "routes.yaml:3:35: error: unknown key 'timout' in an upstream; did you mean 'timeout'?",
    ]


def test_a_message_is_one_line_and_keeps_a_password_to_itself() -> None:
    data = b'version: "1\\n2"\nupstreams: {a: {url: "http://me:hunter2@a"}}\nlegacy: a\n'
    lines = faults(data)
    assert len(lines) == 2
    assert "hunter2" not in "".join(lines)


def test_an_alias_bomb_is_over_at_once() -> None:
    start = time.process_time()
    assert len(faults((CASES / "alias_bomb.yaml").read_bytes())) == 1
    assert time.process_time() - start < 1.0


def test_ten_thousand_routes_are_a_table() -> None:
    routes = "".join(
        f"  - name: r{n}\n    match: GET /service-{n}/{{id:[0-9]+}}/items\n    extracted: b\n    share: 5%\n"
        for n in range(10_000)
    )
    head = "version: 1\nupstreams: {a: {url: http://a}, b: {url: http://b}}\nlegacy: a\nroutes:\n"
    start = time.process_time()
    assert len(Router(table(head + routes)).table.routes) == 10_000
    # About 1.3 s with libyaml on two slow cores. Something quadratic would take minutes.
    assert time.process_time() - start < 15.0


def test_what_is_no_longer_known_of_half_a_match_makes_no_tie() -> None:
    data = b"""\
version: 1
upstreams: {a: {url: http://a}, b: {url: http://b}}
legacy: a
routes:
  - {name: r, match: /r, extracted: b}
  - {name: s, match: GTE /r, extracted: b}
"""
    assert faults(data) == ["routes.yaml:6:22: error: unknown method 'GTE'; did you mean 'GET'?"]


def parses_or_says_why(data: bytes) -> None:
    found: Table | Faults
    try:
        found = parse(data, file="f", check_rule=rule)
    except Faults as error:
        found = error
    if isinstance(found, Table):
        Router(found)
        return
    assert found.faults
    for fault in found.faults:
        assert min(fault.line, fault.column) >= 1
        assert fault.render("f").splitlines() == [fault.render("f")]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_faults(data: bytes) -> None:
    parses_or_says_why(data)


YAMLISH = st.text(
    alphabet=string.ascii_letters[:6] + "0129%-:,.?!&*#'\"[]{}|><~@`\\/ \t\r\n\u2028\x85é🦊", max_size=80
)


@settings(deadline=None)
@given(YAMLISH)
def test_any_text_is_a_table_or_faults(text: str) -> None:
    parses_or_says_why(text.encode())


@settings(deadline=None)
@given(st.data())
def test_a_damaged_file_is_a_table_or_faults(data: st.DataObject) -> None:
    text = WHOLE_FILE.decode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + data.draw(st.one_of(YAMLISH, st.sampled_from(SPLINTERS))) + text[end:]
    parses_or_says_why(text.encode())


SPLINTERS = [
    "<<: *a",
    "&a ",
    "*a",
    "!!int ",
    "{}",
    "[]",
    "~",
    "'",
    '"\\0"',
    '"\\ud800"',
    "\n---\n",
    "\n...\n",
    "%YAML 1.2\n",
    "? ",
    "{x:(a*)*b}",
    "/**",
    "100000%",
    "http://[::1",
    "http://a:99999999999",
    "999999999h",
    "99999999999999999999GiB",
    "none",
    "https://",
]


def test_identity_sources_say_how_they_are_written() -> None:
    assert [str(IdentitySource("cookie", "a")), str(IdentitySource("client-address"))] == [
        "cookie:a",
        "client-address",
    ]
