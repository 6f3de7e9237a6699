"""A fingerprint as a page needs it: the request and the rules to copy, in a real shell and a real routes.yaml."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.compare import Answered, Difference, Redactor, compare, compile_rules, fault, fingerprint
from strangler.console.curl import base_address, curl, request_text
from strangler.console.detail import detail_view
from strangler.console.ruling import ignorable, rule_texts
from strangler.cutover.standing import standing
from strangler.evidence import (
    FingerprintDetail,
    Kept,
    PairEvidence,
    Releases,
    RouteEvidence,
    RouteFacts,
    Sighting,
    Tally,
    build,
)
from strangler.evidence import fingerprint as fingerprint_of
from strangler.routes import Table, parse

BASE = "http://127.0.0.1:8080"
TODAY = date(2026, 11, 26)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
HEAD = """\
version: 1
upstreams:
  monolith: {url: http://127.0.0.1:8001}
  payments: {url: http://127.0.0.1:8002}
legacy: monolith
routes:
"""
BLOCK = "  - name: read\n    match: GET /payments/{id}\n    extracted: payments\n"
FLOW = "  - {name: read, match: 'GET /payments/{id}', extracted: payments, %s}\n"


def table(text: str = BLOCK) -> Table:
    return parse((HEAD + text).encode(), file="routes.yaml", check_rule=fault)


# --- the request -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `curl` that only prints its arguments, each behind a NUL."""
    folder = tmp_path_factory.mktemp("stub")
    (folder / "curl").write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    (folder / "curl").chmod(0o755)
    return folder


def run(command: str, stub: Path) -> list[str]:
    """What a shell makes of a command: the arguments of `curl`, with nothing else done or said."""
    bash = shutil.which("bash")
    assert bash is not None
    ran = subprocess.run(
        [bash, "-c", command], env={"PATH": str(stub)}, cwd=stub, capture_output=True, check=True
    )
    assert ran.stderr == b""
    assert [path.name for path in stub.iterdir()] == ["curl"]
    return ran.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    ("method", "target", "command"),
    [
        ("GET", "/payments/42", f"curl '{BASE}/payments/42'"),
        ("GET", "/a?b=c&d=%20", f"curl '{BASE}/a?b=c&d=%20'"),
        ("HEAD", "/a", f"curl --head '{BASE}/a'"),
        ("POST", "/a", f"curl -X POST '{BASE}/a'"),
        ("GET", "/a/{b}[1-3]", f"curl --globoff '{BASE}/a/{{b}}[1-3]'"),
        ("GET", "/a/../b", f"curl --path-as-is '{BASE}/a/../b'"),
        ("GET", "/a#b", f"curl --request-target '/a#b' '{BASE}/'"),
        ("OPTIONS", "*", f"curl -X OPTIONS --request-target '*' '{BASE}/'"),
        ("GET", "/caf\xe9", f"curl '{BASE}/caf%E9'"),  # one byte, as it came
        ("GET", "/\u20ac\ud800", f"curl '{BASE}/%E2%82%AC%ED%A0%80'"),
        ("GET", "/a\x1b[201~\nrm", f"curl --globoff '{BASE}/a%1B[201~%0Arm'"),
        ("GET", "/it's", f"curl '{BASE}/it'\"'\"'s'"),
        ("GET", "/u/[email 3f9a41d0aa17]?q", f"curl --globoff '{BASE}/u/[email 3f9a41d0aa17]?q'"),
    ],
)
def test_the_command(method: str, target: str, command: str) -> None:
    assert curl(method, target, BASE) == command


TARGETS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                "'",
                '"',
                "`id`",
                "$(id)",
                "${x}",
                "\\",
                "\n",
                ";",
                "&",
                "|",
                ">x",
                "#",
                "!",
                " ",
                "-o",
                "é",
                "'\\''",
                "~",
                "/..",
            ]
        ),
        max_size=8,
    ).map("".join),
)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.sampled_from(["GET", "HEAD", "PURGE"]), TARGETS.filter(bool)), TARGETS)
def test_nothing_breaks_out_of_the_command(stub: Path, method: str, target: str) -> None:
    command = curl(method, "/" + target, BASE)
    assert command.isprintable()
    assert command.isascii() or not method.isascii()
    *options, last = run(command, stub)
    assert last.startswith(f"{BASE}/")
    known = {"--head", "--globoff", "--path-as-is"}
    values = {"-X", "--request-target"}
    words = iter(options)
    given = {word: next(words) if word in values else "" for word in words}
    assert set(given) <= known | values
    sent = given.get("--request-target", last.removeprefix(BASE))
    assert sent.startswith("/")
    if target.isascii() and target.isprintable() and " " not in target:
        assert sent == "/" + target


def test_a_mark_of_redaction_is_kept_and_named(stub: Path) -> None:
    target = "/u/[email 3f9a41d0aa17]/[token 0123456789ab]/[email 3f9a41d0aa17]"
    found = request_text("GET", target, BASE, None)
    assert run(found["curl"], stub)[-1] == BASE + target
    assert found["note"] == (
        "Redacted when it was kept, write the values in again: [email 3f9a41d0aa17], [token 0123456789ab]. "
        "Headers of callers are never kept: add with -H what the service asks for."
    )


@pytest.mark.parametrize(
    ("method", "target", "says"),
    [
        ("GET", "/a", "Headers of callers are never kept"),
        ("POST", "/a", "POST may change something, and its body is never kept."),
        ("GET", "/" + "a" * 2047, "Only the first 2048 characters of the target are kept."),
    ],
)
def test_the_note_says_what_is_missing(method: str, target: str, says: str) -> None:
    assert says in request_text(method, target, BASE, None)["note"]
    assert "\n" not in request_text(method, target, BASE, None)["note"]


def test_what_the_route_claims_beside_the_path_is_sent(stub: Path) -> None:
    claim = "match: {path: '/a', host: shop.example.com, headers: {x-beta: \"it's $(1)\"}}"
    (route,) = table(f"  - {{name: read, extracted: payments, {claim}}}\n").routes
    found = request_text("GET", "/a", BASE, route)
    assert run(found["curl"], stub) == [
        "-H",
        "Host: shop.example.com",
        "-H",
        "x-beta: it's $(1)",
        f"{BASE}/a",
    ]
    (wide,) = table(
        "  - {name: read, extracted: payments, match: {path: /a, host: '*.example.com'}}\n"
    ).routes
    found = request_text("GET", "/a", BASE, wide)
    assert "-H" not in found["curl"]
    assert "The route claims hosts like *.example.com" in found["note"]


@pytest.mark.parametrize(
    ("listen", "base"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("'[::]:80'", "http://[::1]:80"),
        ("'[fd00::7]:80'", "http://[fd00::7]:80"),
    ],
)
def test_the_address_is_the_listeners(listen: str, base: str) -> None:
    made = parse(f"listen: {listen}\n{HEAD}{BLOCK}".encode(), file="routes.yaml", check_rule=fault)
    assert base_address(made.listen, tls=False) == base
    assert base_address(made.listen, tls=True) == base.replace("http", "https")


# --- the rules -------------------------------------------------------------------------------------------

JSON = (("content-type", "application/json"),)


def answer(body: str, headers: tuple[tuple[str, str], ...] = JSON, status: int = 200) -> Answered:
    return Answered(status, headers, body.encode())


#: A pair of answers that differ in one way, and whether a rule may name the place.
PAIRS: dict[str, tuple[Answered, Answered, bool]] = {
    "type": (answer('{"total": 1}'), answer('{"total": "1"}'), True),
    "missing": (answer('{"a": [{"b": 1}]}'), answer('{"a": [{}]}'), True),
    "added": (answer("{}"), answer('{"a.b": 1}'), True),
    "odd name": (
        answer('{"it\'s \\"odd\\"\\\\\\n\\u202e: {x}, # y": 1}'),
        answer('{"it\'s \\"odd\\"\\\\\\n\\u202e: {x}, # y": 2}'),
        True,
    ),
    "length": (answer('{"a": [1, 2]}'), answer('{"a": [1]}'), True),
    "order": (answer('{"a": ["x", "y"]}'), answer('{"a": ["y", "x"]}'), True),
    "order of all": (answer('["x", "y"]'), answer('["y", "x"]'), True),
    "header": (answer("{}", (*JSON, ("x-total", "1"))), answer("{}", (*JSON, ("x-total", "2"))), True),
    "content type": (
        answer("", (("content-type", "text/a"),)),
        answer("", (("content-type", "text/b"),)),
        True,
    ),
    "long path": (answer(f'{{"{"x" * 600}": 1}}'), answer(f'{{"{"x" * 600}": 2}}'), False),
    "redacted path": (answer('{"ada@example.com": 1}'), answer('{"ada@example.com": 2}'), False),
    "whole": (answer("[]"), answer("{}"), False),
    "text": (answer("a", ()), answer("b", ()), False),
    "elements": (answer("[1]"), answer("[2]"), False),
    "status": (answer("{}"), answer("{}", status=201), False),
}


def found_in(legacy: Answered, extracted: Answered) -> FingerprintDetail:
    """The one difference of a pair, as the evidence would show it."""
    (difference,) = compare(legacy, extracted, compile_rules(), Redactor(b"key", compile_rules())).differences
    evidence = evidence_of(difference)
    found = fingerprint_of(evidence, fingerprint("read", "GET", difference))
    assert found is not None
    return found


def evidence_of(difference: Difference) -> dict[str, RouteEvidence]:
    identity = fingerprint("read", "GET", difference)
    kept = Kept(NOW, "GET", "/payments/7", "1", "2", '{"a": 1, "b": 1}', '{"b": 1, "a": 2}')
    seen = Sighting(identity, "GET", replace(difference, drift=None), 3, NOW, NOW, (kept,))
    tally = Tally(Counter(mismatch=3), Counter(), Counter({(200, 200): 3}))
    pair = PairEvidence(Releases("v1", "v1"), tally, (seen,), combinations={identity: 3})
    return {"read": RouteEvidence("read", (pair,))}


def pasted(rule: str, key: str, known: str) -> list[str]:
    """The rule where its remark says that it goes, in a routes.yaml of either style."""
    remark, line = rule.splitlines()
    if not known:
        assert remark == "# under the route read"
        return [f"{BLOCK}    {remark}\n    {line}\n", FLOW % line]
    if not known.startswith(key):
        assert remark == "# under `compare` of the route read"
        return [f"{BLOCK}    compare:\n      {known}\n      {line}\n", FLOW % f"compare: {{{known}, {line}}}"]
    assert remark == f"# one more of the list `{key}` under the route read"
    return [f"{BLOCK}    compare:\n      {key}:\n      - {OTHERS[key]}\n      {line}\n"]


OTHERS = {
    "accept": "{fingerprint: 0000000000000000, reason: x, until: 2030-01-01}",
    "ignore": "$.other",
    "unordered": "$.other",
}
#: What a route may have under `compare` already.
STANDING = ["", "noise: 1%", *(f"{key}: [{other}]" for key, other in OTHERS.items())]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("known", STANDING)
def test_the_rule_that_accepts_does(name: str, known: str) -> None:
    found = found_in(*PAIRS[name][:2])
    route = table(FLOW % f"compare: {{{known}}}" if known else BLOCK).route("read")
    rule = rule_texts(found, route, TODAY)["accept"]
    for text in pasted(rule, "accept", known):
        (route,) = table(text).routes
        (accepted,) = (each for each in route.compare.accept if each.fingerprint == found["id"])
        assert accepted.until == date(2027, 2, 24)
        assert accepted.reason.startswith(f"{found['kind']} at ")
        (difference,) = compare(
            *PAIRS[name][:2], compile_rules(), Redactor(b"key", compile_rules())
        ).differences
        facts = RouteFacts("read", "shadow", 0.0, 100.0, "payments", standing(route.compare))
        (judged,) = build([facts], evidence_of(difference), NOW)["routes"]
        assert judged["outcomes"]["accepted"] == 3
        assert [entry["outcome"] for entry in judged["fingerprints"]] == ["accepted"]


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair[2]])
@pytest.mark.parametrize("known", STANDING)
def test_the_rule_that_ignores_does(name: str, known: str) -> None:
    legacy, extracted, _ = PAIRS[name]
    key = "unordered" if name.startswith("order") else "ignore"
    route = table(FLOW % f"compare: {{{known}}}" if known else BLOCK).route("read")
    rule = rule_texts(found_in(legacy, extracted), route, TODAY)["ignore"]
    assert rule is not None
    for text in pasted(rule, key, known):
        (route,) = table(text).routes
        rules = route.compare
        compiled = compile_rules(rules.ignore, rules.only, rules.unordered, rules.keyed, rules.tolerance)
        assert compare(legacy, extracted, compiled, Redactor(b"key", compile_rules())).differences == ()


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if not pair[2]])
def test_what_no_narrow_rule_names_has_none(name: str) -> None:
    assert rule_texts(found_in(*PAIRS[name][:2]), table().route("read"), TODAY)["ignore"] is None


def test_the_rules_as_they_read() -> None:
    found = found_in(*PAIRS["type"][:2])
    assert rule_texts(found, table().route("read"), TODAY) == {
        "accept": (
            f'# under the route read\ncompare: {{accept: [{{fingerprint: "{found["id"]}", '
            'reason: "type at $.total: number, then string", until: 2027-02-24}]}\n'
        ),
        "ignore": '# under the route read\ncompare: {ignore: ["$.total"]}\n',
    }
    assert (
        rule_texts(found, None, TODAY)["ignore"] == '# under the route read\ncompare: {ignore: ["$.total"]}\n'
    )


def test_what_is_accepted_already_says_until_when() -> None:
    found = found_in(*PAIRS["type"][:2])
    accept = f"compare: {{accept: [{{fingerprint: '{found['id']}', reason: x, until: 2026-01-31}}]}}"
    rule = rule_texts(found, table(FLOW % accept).route("read"), TODAY)["accept"]
    assert rule.startswith(
        "# in the place of the one that is accepted until 2026-01-31, under the route read\n- {"
    )


@settings(deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_any_member_can_be_named_by_its_rule(name: str) -> None:
    legacy, extracted = ({"members": {name: value}} for value in (1, 2))
    pair = [answer(json.dumps(body)) for body in (legacy, extracted)]
    found = compare(pair[0], pair[1], compile_rules(), Redactor(b"key", compile_rules())).differences[0]
    rule = ignorable(found.where, found.path, found.kind)
    if rule is not None:
        assert (
            compare(pair[0], pair[1], compile_rules([rule[1]]), Redactor(b"key", compile_rules())).differences
            == ()
        )


# --- all of it -------------------------------------------------------------------------------------------


def test_a_page_is_given_all_of_it() -> None:
    found = found_in(*PAIRS["type"][:2])
    view: Any = detail_view(found, table(), BASE, NOW)
    assert {name: value for name, value in view.items() if name in found and name != "examples"} == {
        name: value for name, value in found.items() if name != "examples"
    }
    (example,) = view["examples"]
    assert example["target"] == "/payments/7"
    assert example["curl"] == view["request"]["curl"] == "curl 'http://127.0.0.1:8080/payments/7'"
    assert example["note"] == view["request"]["note"]
    assert example["lines"]["legacy"][1] == {"text": '  "a": 1,', "path": "$.a", "differs": True}
    assert example["lines"]["extracted"][1] == {"text": '  "b": 1,', "path": "$.b", "differs": False}
    assert set(view["rule"]) == {"accept", "ignore"}


def test_what_the_running_table_ignores_is_not_marked_unless_a_bridge_moves_it() -> None:
    found = found_in(*PAIRS["type"][:2])

    def marks(route: str) -> list[bool]:
        view: Any = detail_view(found, table(route), BASE, NOW)
        return [line["differs"] for line in view["examples"][0]["lines"]["legacy"]]

    assert marks(BLOCK) == [False, True, False, False]
    assert marks(FLOW % "compare: {ignore: [$.a]}") == [False] * 4
    assert marks(FLOW % "compare: {ignore: [$.a], bridge: {legacy: {body: '@'}}}") == [
        False,
        True,
        False,
        False,
    ]
    assert marks(FLOW.replace("read", "other") % "share: 0%") == [False, True, False, False]


def test_without_an_example_there_is_no_request() -> None:
    found = found_in(*PAIRS["type"][:2])
    found["examples"] = []
    view = detail_view(found, table(), BASE, NOW)
    assert view["request"] is None
    assert view["examples"] == []
