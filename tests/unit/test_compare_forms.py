"""Bodies that are not JSON: content codings, XML, HTML, multipart; and what is hostile in them."""

import contextlib
import gzip
import zlib
from collections.abc import Callable
from html import escape
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.compare import Answered, Incomparable, Redactor, compare, compile_rules, decode
from strangler.compare.coding import decoded
from strangler.compare.document import DECODED_LIMIT

RULES = compile_rules()
REDACTOR = Redactor(b"key", RULES)
XML, HTML = "application/xml", "text/html; charset=utf-8"

Squeeze = Callable[[bytes], bytes]
CODINGS: dict[str, Squeeze] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def told(media: str, legacy: bytes, extracted: bytes, other: str = "") -> list[tuple[str, str, str, str]]:
    one = Answered(200, (("Content-Type", media),), legacy)
    two = Answered(200, (("Content-Type", other or media),), extracted)
    found = compare(one, two, RULES, REDACTOR).differences
    return [(each.path, each.kind, each.legacy_value, each.extracted_value) for each in found]


# -- content codings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_a_coding_is_undone(coding: str, body: bytes) -> None:
    assert decoded(CODINGS[coding](body), coding, 2000) == body
    twice = CODINGS["br"](CODINGS[coding](body))
    assert decoded(twice, f"{coding}, br", 2000 + 100) == body


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_stopped_at_the_limit(coding: str) -> None:
    bomb = CODINGS[coding](bytes(64 * 1024 * 1024))
    assert len(bomb) < 100_000
    with pytest.raises(Incomparable, match="too_complex"):
        decode((("content-encoding", coding),), bomb)
    exact = CODINGS[coding](bytes(DECODED_LIMIT))
    assert len(decode((("content-encoding", coding),), exact).content) == DECODED_LIMIT


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_cut_off_or_damaged_is_broken(coding: str) -> None:
    body = CODINGS[coding](b"hello, hello, hello, world" * 20)
    for damaged in (body[:-3], body[:4], b"\xff" * 40):
        assert decode((("content-encoding", coding),), damaged).form == "broken"


def test_several_frames_are_one_body() -> None:
    frames = CODINGS["zstd"](b"one ") + CODINGS["zstd"](b"two")
    assert decoded(frames, "zstd", 100) == b"one two"


@settings(deadline=None)
@given(st.sampled_from([*CODINGS, "x-odd"]), st.binary(max_size=200))
def test_no_bytes_break_a_coding(coding: str, body: bytes) -> None:
    with contextlib.suppress(Incomparable):
        decode((("content-encoding", coding),), body)


# -- XML ---------------------------------------------------------------------------------------------------

SHOP = b"""<?xml version="1.0"?><shop xmlns:p="urn:p" id="7" open="yes"><!-- one --><item p:sku="a"><price>10</price>
</item><item p:sku="b"><price>12</price></item><name>Caf\xc3\xa9 &amp; Co</name></shop>"""
SAME = b"""<shop open='yes' id='7'  xmlns:q="urn:p"><item q:sku="a"><price> 10 </price></item>
<item q:sku="b"><price>12</price></item><name>Caf&#233; &#38; Co</name></shop>"""


def test_xml_spelled_otherwise_is_the_same() -> None:
    assert told(XML, SHOP, SAME) == []
    assert told("image/svg+xml", SHOP, SAME) == []
    latin = SHOP.replace(b'version="1.0"', b'version="1.0" encoding="iso-8859-1"').replace(
        b"\xc3\xa9", b"\xe9"
    )
    assert told(XML, latin, SAME) == []


XML_CHANGES = [
    (b">12<", b">13<", ("$.shop.item[*].price[*]['#text']", "value", '"12"', '"13"')),
    (b"<name>", b"<item/><name>", ("$.shop.item", "length", "2 elements", "3 elements")),
    (b" open='yes'", b"", ("$.shop['@open']", "missing", '"yes"', "")),
    (b"urn:p", b"urn:other", ("$.shop.item[*]['@{urn:p}sku']", "missing", '"a"', "")),
]


@pytest.mark.parametrize(("old", "new", "wanted"), XML_CHANGES)
def test_a_change_in_xml_is_found_where_it_is(old: bytes, new: bytes, wanted: tuple[str, ...]) -> None:
    changed = SAME.replace(old, new)
    assert changed != SAME
    assert told(XML, SHOP, changed)[0] == wanted


def test_children_of_several_names_have_an_order() -> None:
    assert told(XML, b"<a><b/><c/></a>", b"<a><c/><b/></a>") == [("$.a['#order']", "value", '"b c"', '"c b"')]


ENTITIES = (
    b"""<!DOCTYPE a [<!ENTITY x "1234567890"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;&x;&x;">]><a>&y;&y;&y;</a>"""
)
OUTSIDE = b"""<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>"""


UNDECLARED = b"""<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a b="&eacute;"/>"""


@pytest.mark.parametrize("body", [ENTITIES, OUTSIDE, UNDECLARED])
def test_what_has_entities_of_its_own_is_compared_as_it_stands(body: bytes) -> None:
    found = decode((("content-type", XML),), body)
    assert (found.form, found.value) == ("broken", None)
    changed = (
        body.replace(b"1234567890", b"1234567891").replace(b"passwd", b"group").replace(b"eacute", b"nbsp")
    )
    assert [each[:2] for each in told(XML, body, changed)] == [("", "value")]


def test_a_doctype_alone_does_no_harm() -> None:
    assert told(XML, b'<!DOCTYPE a SYSTEM "a.dtd"><a>1</a>', b"<a>1</a>") == []


HOSTILE = [
    (
        XML,
        b"<a xmlns:n='"
        + b"x" * 200_000
        + b"'>"
        + b"".join(b"<n:b n:c='1'/>" for _ in range(9_000))
        + b"</a>",
    ),
    (HTML, b"<p " + b" ".join(b"a%d=1" % number for number in range(50_000)) + b">"),
    (
        "multipart/mixed; boundary=b",
        b"--b\r\nContent-Type: application/json\r\n\r\n[" + b"1," * 250_000 + b"1]\r\n--b--\r\n",
    ),
]


@pytest.mark.parametrize(("media", "body"), HOSTILE, ids=["namespace", "attributes", "parts"])
def test_what_would_grow_is_not_parsed(media: str, body: bytes) -> None:
    with pytest.raises(Incomparable, match="too_complex"):
        decode((("content-type", media),), body)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_frames_without_end_are_bounded(coding: str) -> None:
    with pytest.raises(Incomparable, match="too_complex"):
        decode((("content-encoding", coding),), CODINGS[coding](b"") * 5_000)


def test_a_charset_that_is_none_is_not_tried() -> None:
    assert decode((("content-type", "text/plain; charset=punycode"),), b"a-b").form == "bytes"
    assert decode((("content-type", XML),), "<a/>".encode("utf-16")).form == "bytes"


NOT_THE_SAME = [
    (XML, b"<a>x<b/></a>", b"<a><b/>x</a>"),
    (HTML, "<p>a\u00a0b</p>".encode(), b"<p>a b</p>"),
    (HTML, b"<p>\xff</p>", b"<p>\xfe</p>"),
]


@pytest.mark.parametrize(("media", "legacy", "extracted"), NOT_THE_SAME)
def test_what_looks_alike_and_is_not_is_told_apart(media: str, legacy: bytes, extracted: bytes) -> None:
    assert len(told(media, legacy, extracted)) == 1


SECRETS = [
    (XML, "<a><password>{}</password></a>", "hunter2"),
    (XML, "<a secret='{}'/>", "hunter2"),
    (XML, "<a>{}</a>", "ada&#64;example.org"),
    (HTML, "<p>{}</p>", "ada&#64;example.org"),
    (XML, "<a><password>{}</password>", "hunter2"),
    ("application/x-www-form-urlencoded", "a=1&password={}", "hunter2"),
    (
        "multipart/form-data; boundary=b",
        '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n{}\r\n--b--\r\n',
        "hunter2",
    ),
]


@pytest.mark.parametrize(("media", "body", "secret"), SECRETS)
def test_a_secret_is_not_shown_whatever_the_form(media: str, body: str, secret: str) -> None:
    shown = REDACTOR.body((("content-type", media),), body.format(secret).encode(), 1000)
    assert secret not in shown
    assert "example.org" not in shown
    assert "[" in shown


def test_what_is_broken_is_not_shown_where_a_route_redacts_by_path() -> None:
    redactor = Redactor(b"key", compile_rules(["$.a.name[*]"]))
    assert "Ada" not in redactor.body((("content-type", XML),), b"<a><name>Ada</name>", 1000)
    assert "Ada" not in redactor.body((("content-type", XML),), b"<a><name>Ada</name></a>", 1000)


@pytest.mark.parametrize("media", [XML, HTML])
@pytest.mark.parametrize(
    "body", [b"<div>" * 10_000, b"<div>" * 10_000 + b"</div>" * 10_000, b"<a/>" * 200_000]
)
def test_what_is_too_deep_or_too_much_is_said(media: str, body: bytes) -> None:
    if media == XML and body.startswith(b"<a/>"):
        body = b"<r>" + body + b"</r>"
    with pytest.raises(Incomparable, match="too_complex"):
        decode((("content-type", media),), body)


@pytest.mark.parametrize("body", [b"", b"no markup", b"<a>", b"<a></b>", b"\xff\xfe<"])
def test_what_is_no_xml_is_broken(body: bytes) -> None:
    assert decode((("content-type", XML),), body).form == "broken"


# -- HTML --------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><html><head><title>Shop</title></head><body class="x"><h1>Caf\u00e9</h1>
<p>Only   <b>today</b>: <span class=price>%s</span><ul><li>one<li>two</ul></body></html>"""


def page(price: str) -> bytes:
    return (PAGE % price).encode()


def test_a_page_spelled_otherwise_is_the_same() -> None:
    other = page("9.99").replace(b"<h1>", b"<H1>").replace(b"class=price", b'class="price"')
    other = other.replace(b"<li>two", b"</li>\n <li>two</li>").replace("\u00e9".encode(), b"&eacute;")
    assert told(HTML, page("9.99"), other) == []


def test_a_price_on_a_page_is_one_difference() -> None:
    assert told(HTML, page("9.99"), page("10.99")) == [
        ("$.html.body[*].p[*].span[*]['#text']", "value", '"9.99"', '"10.99"')
    ]


def test_a_charset_is_read() -> None:
    latin = page("1").decode().encode("latin-1")
    found = told("text/html; charset=latin-1", latin, page("1"), HTML)
    assert [each[:2] for each in found] == [("content-type", "encoding")]


names = st.sampled_from(["a", "b", "c-d"])
trees = st.recursive(
    st.text("xy &<\u00e9", max_size=5),
    lambda inner: st.tuples(
        names, st.dictionaries(names, st.text("xy'", max_size=3), max_size=3), st.lists(inner, max_size=4)
    ),
    max_leaves=10,
)


def written(tree: Any, quote: str, turned: bool) -> str:
    if isinstance(tree, str):
        return escape(tree, quote=False)
    name, attributes, children = tree
    pairs = sorted(attributes.items(), reverse=turned)
    head = "".join(f" {key}={quote}{escape(value)}{quote}" for key, value in pairs)
    return f"<{name}{head}>{''.join(written(child, quote, turned) for child in children)}</{name}>"


@settings(deadline=None)
@given(trees, st.sampled_from([XML, HTML]))
def test_however_a_document_is_written_it_is_the_same(tree: Any, media: str) -> None:
    one, other = (f"<r>{written(tree, quote, turned)}</r>" for quote, turned in (('"', False), ("'", True)))
    assert told(media, one.encode(), other.encode(), media) == []


@settings(deadline=None)
@given(
    st.sampled_from([XML, HTML, "multipart/mixed; boundary=b", "multipart/form-data"]),
    st.binary(max_size=300),
)
def test_no_bytes_break_a_form(media: str, body: bytes) -> None:
    with contextlib.suppress(Incomparable):
        compare(Answered(200, (("content-type", media),), body), Answered(200, (), b""), RULES, REDACTOR)


# -- multipart ---------------------------------------------------------------------------------------------


def form(boundary: str, *parts: tuple[str, str], end: str = "--") -> bytes:
    whole = "".join(f"--{boundary}\r\n{head}\r\n\r\n{body}\r\n" for head, body in parts)
    return f"{whole}--{boundary}{end}\r\n".encode()


NAME = ('Content-Disposition: form-data; name="name"', "Ada")
FILE = (
    'Content-Disposition: form-data; name="file"; filename="a.json"\r\nContent-Type: application/json',
    '{"n": 1}',
)
TWO = (FILE[0], '{ "n": 2 }')


def test_a_boundary_says_nothing() -> None:
    kind = "multipart/form-data; boundary="
    assert told(kind + "one", form("one", NAME, FILE), form("other", FILE, NAME), kind + "other") == []


def test_a_part_is_compared_as_what_it_is() -> None:
    kind = "multipart/form-data; boundary=b"
    assert told(kind, form("b", NAME, FILE), form("b", NAME, TWO)) == [
        ("$.file[*].body.n", "value", "1", "2")
    ]
    assert told(kind, form("b", NAME, FILE), form("b", FILE)) == [
        ("$.name", "missing", told(kind, form("b", NAME, FILE), form("b", FILE))[0][2], "")
    ]


def test_parts_without_names_have_an_order() -> None:
    kind = "multipart/mixed; boundary=b"
    texts = [("Content-Type: text/plain", word) for word in ("one", "two")]
    assert [each[:2] for each in told(kind, form("b", *texts), form("b", *texts[::-1]))] == [
        ("$.parts", "order")
    ]


@pytest.mark.parametrize(
    "body", [b"", b"no parts", form("b", NAME, end=""), form("other", NAME), b"--b\r\n\r\n"]
)
def test_multipart_that_is_cut_off_is_broken(body: bytes) -> None:
    assert decode((("content-type", "multipart/form-data; boundary=b"),), body).form == "broken"


def test_parts_inside_parts_and_too_many_are_bounded() -> None:
    body, kind = b"x", "text/plain"
    for depth in range(6):
        body = form(f"b{depth}", (f"Content-Type: {kind}", body.decode()))
        kind = f"multipart/mixed; boundary=b{depth}"
    with pytest.raises(Incomparable, match="too_complex"):
        decode((("content-type", kind),), body)
    with pytest.raises(Incomparable, match="too_complex"):
        decode((("content-type", "multipart/mixed; boundary=b"),), form("b", *[NAME] * 2_000))
