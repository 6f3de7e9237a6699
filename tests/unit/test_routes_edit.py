from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.routes import CannotEdit, Faults, Table, format_percent, parse, parse_percent, set_value

HEAD = "version: 1\nupstreams: {a: {url: http://a}, b: {url: http://b}}\nlegacy: a\n"


def table(data: bytes) -> Table:
    return parse(data, file="f", check_rule=lambda *rule: None)


def edited(
    routes: str, key: Literal["share", "shadow"] = "share", value: str = "50%", route: str = "r"
) -> str:
    """The routes part after an edit of the whole file, which must leave the head alone."""
    after = set_value((HEAD + routes).encode(), route, key, value).decode()
    assert after.startswith(HEAD)
    return after.removeprefix(HEAD)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # What stands there is replaced, in the style that it stands in.
        ("share: 25%", "share: 50%"),
        ("share:    25%   # why", "share:    50%   # why"),
        ("share: '25%'", "share: '50%'"),
        ('share: "25%" # 25%', 'share: "50%" # 25%'),
        ('share: "2\\x35%"', 'share: "50%"'),
        ("share: &s 25%", "share: &s 50%"),
        ("share: !!str 25%", "share: !!str 50%"),
        ("share: ! '25%'", "share: ! '50%'"),
        ("share: &s !!str\n      25%", "share: &s !!str\n      50%"),
        ("share:\n      25%", "share:\n      50%"),
        ("'share' : 25%", "'share' : 50%"),
        ('"sh\\x61re": 25%', '"sh\\x61re": 50%'),
        ("? share\n    : 25%", "? share\n    : 50%"),
        ("shadow: 25%\n    share: 25%", "shadow: 25%\n    share: 50%"),
        ("shadow: &p 25%\n    share: *p", "shadow: &p 25%\n    share: 50%"),
        # What is missing comes after the nearest of kin.
        ("shadow: 25% # 🦊", "shadow: 25% # 🦊\n    share: 50%"),
        ("compare:\n      ignore: [$.a]", "share: 50%\n    compare:\n      ignore: [$.a]"),
    ],
)
def test_one_value_of_a_block(before: str, after: str) -> None:
    start, end = "routes:\n  - name: r # share: 1%\n    match: /a\n    extracted: b\n    ", "\n# the end\n"
    assert edited(start + before + end) == start + after + end


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{name: r, match: /a, extracted: b, share: 25%}", "{name: r, match: /a, extracted: b, share: 50%}"),
        (
            "{name: r, match: /a, extracted: b, share: 25% ,}",
            "{name: r, match: /a, extracted: b, share: 50% ,}",
        ),
        ("{name: r, match: /a, extracted: b}", "{name: r, match: /a, extracted: b, share: 50%}"),
        ("{name: r, match: /a, extracted: b,  }", "{name: r, match: /a, extracted: b, share: 50%,  }"),
        (
            "{extracted: b # b\n    , name: r, match: /a}",
            "{extracted: b, share: 50% # b\n    , name: r, match: /a}",
        ),
        (
            "{name: r, shadow: 1%, match: /a, extracted: b}",
            "{name: r, shadow: 1%, share: 50%, match: /a, extracted: b}",
        ),
        (
            '{"name":"r","match":"/a","extracted":"b"}',
            '{"name":"r","match":"/a","extracted":"b", "share": "50%"}',
        ),
    ],
)
def test_one_value_of_a_flow_mapping(before: str, after: str) -> None:
    assert edited(f"routes:\n  - {before}  # kept\n") == f"routes:\n  - {after}  # kept\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("end", [True, False])
def test_a_new_line_ends_as_its_neighbours_do(newline: str, end: bool) -> None:
    lines = [*HEAD.splitlines(), "routes:", "- name: r", "  match: /a", "  extracted: b"]
    data = newline.join([*lines, ""] if end else lines).encode()
    expected = newline.join([*lines, "  share: 50%", ""] if end else [*lines, "  share: 50%"]).encode()
    if newline == "\r" and not end:
        expected = newline.join(lines).encode() + b"\n  share: 50%"  # any line ending does
    assert set_value(data, "r", "share", "50%") == expected


def test_a_byte_order_mark_and_wide_characters_stay() -> None:
    data = (
        "\ufeff# 🦊🦊\r\n{version: 1, legacy: a, upstreams: {a: {url: http://a}, 🦊: {url: http://b}}, "
        "routes: [{name: ré🦊, match: /é, extracted: 🦊, share: 1%}]} # 🦊"
    )
    assert set_value(data.encode(), "ré🦊", "share", "0.125%") == data.replace("1%", "0.125%").encode()


BLOCK = "routes:\n  - name: r\n    match: /a\n    extracted: b\n    "


@pytest.mark.parametrize(
    ("routes", "route", "message"),
    [
        (BLOCK + "share: 1%\n", "q", "no route 'q'"),
        (
            BLOCK.replace("name: r", "name: payment-read"),
            "payment-raed",
            "no route .*; did you mean 'payment-read'",
        ),
        ("", "r", "no list of routes"),
        ("routes: text\n", "r", "no list of routes"),
        (
            BLOCK + "share: &s 1%\n    shadow: *s\n",
            "r",
            "line 8: this share has an anchor that is used elsewhere",
        ),
        (BLOCK + "share: |\n      1%\n", "r", "line 8: share is written as a block"),
        (BLOCK + "share:\n", "r", "line 8: share is empty"),
        (BLOCK + "share: []\n", "r", "line 8: share is not a text"),
        (BLOCK + "share: &s\n      # 2%\n      1%\n", "r", "line 8: the value cannot be told"),
        (BLOCK + "share: 1%\n    share: 2%\n", "r", "line 9: the key 'share' stands twice"),
        (BLOCK + "share: 1%\n  - name: r\n", "r", "line 9: two routes are named 'r'"),
        (
            "routes:\n  - &r {name: r, match: /a, extracted: b}\n  - *r\n",
            "r",
            "stands in more than one place",
        ),
        ("routes: [\n", "r", "line 5: not YAML"),
        (
            "routes:\n  - name: |-\n      r\n    compare:\n      ignore: []\n",
            "r",
            "no line after which share",
        ),
    ],
)
def test_what_cannot_surely_be_done_is_refused(routes: str, route: str, message: str) -> None:
    with pytest.raises(CannotEdit, match=message):
        set_value((HEAD + routes).encode(), route, "share", "50%")


def test_an_edit_that_would_say_something_else_is_refused() -> None:
    # YAML ends a line at U+2028 too, which no editor shows: a new line would land in the next route.
    routes = BLOCK.rstrip() + "\u2028  - name: q\n    match: /b\n    extracted: b\n"
    assert [route.name for route in table((HEAD + routes).encode()).routes] == ["r", "q"]
    with pytest.raises(
        CannotEdit, match="line 5: share cannot be changed here without changing something else"
    ):
        set_value((HEAD + routes).encode(), "r", "share", "50%")


@pytest.mark.parametrize("value", ["50", "101%", "", "5%\n    shadow: 5%", "5% # x"])
def test_only_a_percentage_is_written(value: str) -> None:
    with pytest.raises(CannotEdit, match=r"^share "):
        edited(BLOCK + "share: 1%\n", value=value)


# --- generated files ------------------------------------------------------------------------------------------------

COMMENTS = ["", "", "", " # a comment", "   #share: 3%", " # 🦊 é", "  "]
NAMES = ["r", "payment-read", "ré", "🦊", "x:y", "25%", "no"]
SHARES = ["0%", "25%", "0.125%", "100%", "007.50%"]
FLOW_ONLY = st.sampled_from(
    ["{p}", "'{p}'", '"{p}"', "!!str {p}", "  {p}", "&x{n} {p}", "&x{n} !!str '{p}'", '! "{p}"']
)


@st.composite
def block_route(draw: st.DrawFn, number: int, name: str) -> str:
    indent, gap = " " * draw(st.integers(0, 5)), " " * draw(st.integers(1, 3))
    share = draw(FLOW_ONLY).format(p=draw(st.sampled_from(SHARES)), n=number)
    fields = [
        f"name: {json.dumps(name, ensure_ascii=False)}",
        f"match: /a{number}",
        draw(st.sampled_from(["extracted: b", "'extracted':   b"])),
    ]
    fields += draw(
        st.lists(
            st.sampled_from(
                [f"share: {share}", "shadow: 5%", "compare:\n{i}  ignore:\n{i}  - $.a\n{i}  # note"]
            ),
            unique_by=lambda f: f[:5],
        )
    )
    column = indent + "-" + gap
    spaces = " " * len(column)
    lines = []
    for at, part in enumerate(draw(st.permutations(fields))):
        comment = draw(st.sampled_from(COMMENTS))
        lines.append((column if at == 0 else spaces) + part.replace("{i}", spaces) + comment)
        if draw(st.integers(0, 4)) == 0:
            lines.append(draw(st.sampled_from(["", "   ", "# share: 9%", spaces + "# share: 9%"])))
    return "\n".join(lines)


@st.composite
def flow_route(draw: st.DrawFn, number: int, name: str) -> str:
    share = draw(FLOW_ONLY).format(p=draw(st.sampled_from(SHARES)), n=number)
    fields = [
        f"name: {json.dumps(name, ensure_ascii=False)}",
        f"match: /a{number}",
        draw(st.sampled_from(["extracted: b", '"extracted":"b"'])),
    ]
    fields += draw(
        st.lists(
            st.sampled_from([f"share: {share}", "shadow: 5%", "compare: {ignore: [$.a]}"]),
            unique_by=lambda f: f[:5],
        )
    )
    comma = draw(st.sampled_from([", ", " , ", ",", ",\n      ", " # share: 1%\n      ,"]))
    end = draw(st.sampled_from(["}", " }", ",}", " , # }\n      }"]))
    return "{" + comma.join(draw(st.permutations(fields))) + end + draw(st.sampled_from(COMMENTS))


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, str]:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    flow = draw(st.booleans())
    if flow:
        items = [draw(flow_route(number, name)) for number, name in enumerate(names)]
        routes = "routes: [\n  " + ",\n  ".join(re.sub(r"( +#.*| +)$", "", item) for item in items) + "\n  ]"
    else:
        blocks = [draw(block_route(number, name)) for number, name in enumerate(names)]
        indents = {re.match(" *", block)[0] for block in blocks}  # type: ignore[index]
        if len(indents) > 1:
            blocks = [blocks[0]]
        elif draw(st.booleans()):
            blocks = [draw(st.sampled_from(["", "# one\n"])) + block for block in blocks]
        routes = "routes:\n" + "\n".join(blocks)
        names = names[: len(blocks)]
    parts = ["version: 1", "upstreams: {a: {url: http://a}, b: {url: http://b}} # 🦊", "legacy: a", routes]
    text = draw(st.sampled_from(["", "\ufeff", "# head\n"])) + "\n".join(draw(st.permutations(parts)))
    text += draw(st.sampled_from(["", "\n", "\n\n# the end", "\n...\n"]))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return text.replace("\n", newline).encode(), draw(st.sampled_from(names))


def without_lines(data: Table, name: str, key: str, percent: int) -> Any:
    """A table with one value put in and without what an edit may change: line numbers and the digest."""
    routes = [dataclasses.replace(route, line=0) for route in data.routes]
    routes = [dataclasses.replace(r, **{key: percent}) if r.name == name else r for r in routes]
    return dataclasses.replace(data, routes=tuple(routes), digest="")


@settings(deadline=None)
@given(files(), st.sampled_from(["share", "shadow"]), st.integers(0, 100_000))
def test_an_edit_changes_one_value_and_not_another_byte(
    file: tuple[bytes, str], key: Literal["share", "shadow"], percent: int
) -> None:
    data, name = file
    before = table(data)
    value = format_percent(percent)
    after = set_value(data, name, key, value)
    assert without_lines(table(after), name, "line", 0) == without_lines(before, name, key, percent)
    # Taking the new text out, and putting the old one back, gives the old bytes: nothing else has moved.
    start = next(
        (at for at, (a, b) in enumerate(zip(data, after, strict=False)) if a != b), min(len(data), len(after))
    )
    tail = next(
        (
            at
            for at, (a, b) in enumerate(zip(reversed(data[start:]), reversed(after[start:]), strict=False))
            if a != b
        ),
        min(len(data), len(after)) - start,
    )
    removed, added = data[start : len(data) - tail], after[start : len(after) - tail]
    assert re.fullmatch(rb"[0-9.]*%?", removed)
    assert len(added) <= len(value) or key.encode() in after[start - 20 : start + len(added) + 20]
    assert len(added) < 40
    assert data[:start] + removed + data[len(data) - tail :] == data
    assert set_value(after, name, key, value) == after


@settings(deadline=None)
@given(st.data())
def test_an_edit_of_a_damaged_file_is_right_or_refused(data: st.DataObject) -> None:
    text = data.draw(files())[0].decode()
    start = data.draw(st.integers(0, len(text)))
    splinter = data.draw(
        st.sampled_from(["", " ", "&a ", "*a", "'", "# ", "\n", "- ", "{", "}", ",", "\u2028", "|\n", "? "])
    )
    damaged = (text[:start] + splinter + text[start + data.draw(st.integers(0, 3)) :]).encode()
    try:
        after = set_value(damaged, "r", "share", "33%")
        before = table(damaged)
    except (CannotEdit, Faults):
        return
    assert without_lines(table(after), "r", "line", 0) == without_lines(before, "r", "share", 33_000)


def test_the_percentages_that_are_generated_are_percentages() -> None:
    assert [parse_percent(share) for share in SHARES]
