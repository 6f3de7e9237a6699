import gzip
import json
import zlib

import pytest

from strangler.compare import Answered, Incomparable, Redactor, compare, compile_rules

JSON = ("Content-Type", "application/json")
TEXT = ("Content-Type", "text/plain; charset=utf-8")
RULES = compile_rules([])
REDACTOR = Redactor(b"key", RULES)
IMAGE = ("content-type", "image/png")


def answer(body: bytes = b"", *headers: tuple[str, str], status: int = 200) -> Answered:
    return Answered(status, headers, body)


def told(legacy: Answered, extracted: Answered, *ignore: str) -> list[tuple[str, ...]]:
    found = compare(legacy, extracted, compile_rules(ignore), REDACTOR).differences
    return [(d.where, d.path, d.kind, d.legacy, d.extracted, d.severity) for d in found]


def test_equal_answers() -> None:
    assert told(answer(b"{}", JSON), answer(b"{}", JSON)) == []


def test_a_status_of_another_class_is_the_only_difference() -> None:
    legacy, extracted = answer(b'{"a": 1}', JSON), answer(b"oops", TEXT, status=500)
    assert told(legacy, extracted) == [("status", "", "status", "200", "500", "breaking")]


def test_a_status_of_the_same_class_is_one_of_them() -> None:
    found = told(answer(b'{"a": 1}', JSON), answer(b'{"a": 2}', JSON, status=201))
    assert found == [
        ("status", "", "status", "200", "201", "breaking"),
        ("body", "$.a", "value", "number", "number", "value"),
    ]


HEADERS = [
    ("Date", "now", "later", None),
    ("Server", "legacy/1", "new/2", None),
    ("X-Release", "v1", "v2", None),
    ("Content-Length", "1", "2", None),
    ("ETag", '"1"', '"2"', None),
    ("ETag", '"1"', None, ("header", "present", "absent")),
    ("Set-Cookie", "sid=1; Path=/", "sid=2", None),
    ("Set-Cookie", "sid=1", "token=2", ("header", "present", "present")),
    ("Vary", "Accept, Cookie", "cookie,accept", None),
    ("Vary", "Accept", "Cookie", ("header", "present", "present")),
    ("Location", "http://10.0.0.1:8001/a?b", "http://10.0.0.2:8002/a?b", None),
    ("Location", "/a", "http://10.0.0.2:8002/b", ("header", "present", "present")),
    ("X-Total", "4", "5", ("header", "present", "present")),
    ("X-Total", None, "5", ("header", "absent", "present")),
    ("Content-Type", "text/html; charset=utf-8", "text/html;charset=UTF-8", None),
    (
        "Content-Type",
        "text/html; charset=utf-8",
        "text/html; charset=latin1",
        ("encoding", "utf-8", "latin1"),
    ),
    ("Content-Type", "text/html", "text/plain", ("header", "text/html", "text/plain")),
    ("Content-Type", "application/json; charset=utf-8", "application/json", None),
]


@pytest.mark.parametrize(("name", "mine", "other", "expected"), HEADERS)
def test_headers(
    name: str, mine: str | None, other: str | None, expected: tuple[str, str, str] | None
) -> None:
    legacy = answer(b"", *([(name, mine)] if mine else []))
    extracted = answer(b"", *([(name.lower(), other)] if other else []))
    found = [(d.kind, d.legacy, d.extracted) for d in compare(legacy, extracted, RULES, REDACTOR).differences]
    assert found == ([expected] if expected else [])
    assert told(legacy, extracted, f"header:{name}") == []


def test_headers_named_by_connection_are_not_compared() -> None:
    assert told(answer(b"", ("Connection", "X-Hop"), ("X-Hop", "1")), answer()) == []


def test_one_of_several_values_differs() -> None:
    legacy, extracted = answer(b"", ("Link", "a"), ("Link", "b")), answer(b"", ("Link", "a"))
    assert [d.path for d in compare(legacy, extracted, RULES, REDACTOR).differences] == ["link"]


def test_other_bodies_are_compared_as_bytes() -> None:
    (found,) = compare(answer(b"abc", IMAGE), answer(b"abd!", IMAGE), RULES, REDACTOR).differences
    assert (found.where, found.path, found.kind) == ("body", "", "value")
    assert found.legacy_value == f"3 bytes, bytes, hash {REDACTOR.digest(b'abc')}"


def test_a_side_that_breaks_its_promise_of_json() -> None:
    assert told(answer(b"{}", JSON), answer(b"<html>", JSON)) == [
        ("body", "", "encoding", "json", "broken", "breaking")
    ]
    assert told(answer(b"{", JSON), answer(b"[", JSON)) == [
        ("body", "", "value", "broken", "broken", "value")
    ]
    assert told(answer(b'{"a": NaN}', JSON), answer(b'{"a": 1}', JSON))[0][2] == "encoding"
    assert told(answer(b'{"a": "\xff"}', JSON), answer(b'{"a": "x"}', JSON))[0][2] == "encoding"


def test_json_without_a_content_type_is_still_read() -> None:
    assert told(answer(b'{"a": 1}'), answer(b' {"a": 1.0}')) == []
    assert told(answer(b"{a}"), answer(b"{b}"))[0][2] == "value"


def test_a_problem_document_is_json() -> None:
    problem = ("Content-Type", "application/problem+json")
    assert told(answer(b'{"a": 1}', problem), answer(b'{ "a": 1}', problem)) == []


@pytest.mark.parametrize("squeeze", [gzip.compress, zlib.compress, lambda data: zlib.compress(data)[2:-4]])
def test_compressed_bodies_are_opened(squeeze: object) -> None:
    coding = "gzip" if squeeze is gzip.compress else "deflate"
    legacy = answer(squeeze(b'{"a": 1}'), JSON, ("Content-Encoding", coding))  # type: ignore[operator]
    assert told(legacy, answer(b'{"a": 2}', JSON), "header:content-encoding") == [
        ("body", "$.a", "value", "number", "number", "value")
    ]


def test_a_compressed_body_that_is_damaged() -> None:
    whole = gzip.compress(b'{"a": 1}')
    legacy, extracted = (answer(body, JSON, ("Content-Encoding", "gzip")) for body in (whole, whole[:-9]))
    assert told(legacy, extracted)[0][2:5] == ("encoding", "json", "broken")


def test_the_same_bytes_under_another_coding_are_not_the_same() -> None:
    body = gzip.compress(b"{}")
    found = told(answer(body, JSON, ("Content-Encoding", "gzip")), answer(body, JSON))
    assert [one[2] for one in found] == ["header", "encoding"]


REASONS = [
    (b"[" + b"1," * 300_000 + b"1]", "", "too_complex"),
    (gzip.compress(b" " * 9_000_000, mtime=0), "gzip", "too_complex"),
    (b"pressed", "compress", "content_encoding"),
    (b'{"a": 1, "a": 2}', "", "duplicate_key"),
    (b"[1e999]", "", "number_range"),
    (b"[" + b"9" * 5000 + b"]", "", "number_range"),
]


@pytest.mark.parametrize(("body", "coding", "reason"), REASONS, ids=lambda value: str(value)[:20])
def test_what_cannot_be_compared_says_why(body: bytes, coding: str, reason: str) -> None:
    headers = [JSON] + ([("Content-Encoding", coding)] if coding else [])
    with pytest.raises(Incomparable) as caught:
        compare(answer(body, *headers), answer(b"[]", *headers), RULES, REDACTOR)
    assert caught.value.reason == reason


def test_a_known_difference_is_not_hidden_behind_a_skip() -> None:
    legacy = answer(b"x", JSON, ("Content-Encoding", "compress"))
    extracted = answer(b"y", JSON, ("Content-Encoding", "compress"), status=201)
    assert [one[2] for one in told(legacy, extracted)] == ["status"]


def test_an_ignored_body_is_never_read() -> None:
    assert told(answer(b'{"a": 1, "a": 2}', JSON), answer(b"{", JSON), "$") == []


def test_lone_surrogates_do_no_harm() -> None:
    legacy = answer(json.dumps({"\ud800": "\udfff"}).encode(), JSON)
    (found,) = compare(legacy, answer(b"{}", JSON), RULES, REDACTOR).differences
    (found.path + found.legacy_value).encode("utf-8")


LINES = ("content-type", "application/x-ndjson")
FORM = ("content-type", "application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    ("kind", "legacy", "extracted", "wanted"),
    [
        (LINES, b'{"a":1}\n{"a":2}\n', b'{"a": 1}\n\n{"a": 2}', []),
        (LINES, b'{"id":1,"a":1}\n{"id":2,"a":2}', b'{"id":1,"a":1}\n{"id":2,"a":"2"}', [("type", "$[*].a")]),
        (LINES, b'{"a":1}\n{"a":2}\n', b'{"a":1}\n{"a":9}\n{"a":2}\n', [("length", "$")]),
        (LINES, b'{"a":1}', b'{"a":1', [("encoding", "")]),
        (FORM, b"a=1&b=2&b=%C3%BC", b"b=2&a=1&b=%c3%bc", []),
        (FORM, b"a=1&b=2", b"a=1&b=3&c=", [("value", "$.b[*]"), ("added", "$.c")]),
        (FORM, b"a=1&a=2", b"a=2&a=1", [("order", "$.a")]),
        (FORM, b"a=\xff", b"a=\xfe", [("value", "")]),
        (TEXT, b"one\ntwo\nthree", b"one\nthree", [("length", "$")]),
        (TEXT, b"one\ntwo\nthree", b"one\n2\nthree", [("value", "$[*]")]),
        (TEXT, b"one\r\n", b"one\n", [("value", "$[*]")]),
        (TEXT, b"\xff", b"\xfe", [("value", "")]),
        (TEXT, b"\n" * 30_000, b"\n" * 30_001, [("value", "")]),
        (("content-type", "text/plain; charset=latin-1"), b"\xfc", b"\xfd", [("value", "$[*]")]),
        (("content-type", "text/plain; charset=zip"), b"a", b"b", [("value", "")]),
        (("content-type", "text/plain; charset=no-such\x00"), b"a", b"b", [("value", "")]),
    ],
)
def test_bodies_of_other_forms(
    kind: tuple[str, str], legacy: bytes, extracted: bytes, wanted: list[tuple[str, str]]
) -> None:
    found = compare(answer(legacy, kind), answer(extracted, kind), RULES, REDACTOR).differences
    assert [(d.kind, d.path) for d in found] == wanted


def test_a_form_is_redacted_by_path_and_by_name() -> None:
    redactor = Redactor(b"key", compile_rules(["$.city"]))
    shown = redactor.body((FORM,), b"city=Ulm&password=hunter2&n=1", 100)
    assert "Ulm" not in shown
    assert "hunter2" not in shown
    assert '"n": ["1"]' in shown


def test_a_body_is_shown_whatever_is_wrong_with_it() -> None:
    headers = (("content-encoding", "gzip"),)
    assert REDACTOR.body(headers, gzip.compress(b"abcdef"), 3) == "abc"
    assert REDACTOR.body(headers, b"not gzip", 100) == "not gzip"
    assert REDACTOR.body((("content-encoding", "br"),), b"\xff", 100) == "\ufffd"
    assert REDACTOR.body((), b"a\0@\0", 100) == "4 bytes that are not text"
