"""A report as a document to hand on: Markdown, one HTML file, JUnit. Pure: a report in, text out.

All values come from callers' traffic and from other people's files, so everything is escaped here, whatever was
done to it before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final
from xml.sax.saxutils import quoteattr

from strangler.compare import printable
from strangler.evidence.shape import FingerprintEntry, Report, RouteReport
from strangler.evidence.words import (
    LATENCY,
    SUMMARY,
    TEXT_LIMIT,
    example,
    facts,
    latency,
    place,
    seen,
    summary,
)

#: What Markdown (CommonMark 0.31 section 2.4, GFM tables and autolinks) would take for its own.
_MARKS: Final = re.compile(r"([\\`*_{}\[\]<>#!|~&@]|:(?=//))")

_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;"
    "padding:0 1rem}table{border-collapse:collapse;margin:.5rem 0}.wide{overflow-x:auto}th,td{text-align:left;"
    "vertical-align:top;padding:.25rem .9rem .25rem 0;border-bottom:1px solid #8886}code{overflow-wrap:anywhere}"
    "section{border-top:1px solid #8886;margin-top:2rem}article{margin:1rem 0;padding-left:.8rem;"
    "border-left:4px solid #888}.breaking{border-color:#c62828}.value{border-color:#b26a00}"
    ".additive{border-color:#00838f}.verdict{border:1px solid;border-radius:.3em;padding:0 .4em}"
)


def markdown(report: Report) -> str:
    """The report for a pull request or a wiki (GitHub Flavored Markdown)."""
    window = report["window"]
    parts = [
        f"# Report of {_md(report['generated_at'])}",
        f"Exchanges from {_md(window['since'])} to {_md(window['until'])}.",
        _md_table(SUMMARY, (summary(route) for route in report["routes"]))
        if report["routes"]
        else "routes.yaml has no route: there is nothing to report on.",
    ]
    for route in report["routes"]:
        parts.append(f"## {_md(route['route'])}: {_md(route['verdict'])}")
        parts.append(_md_list(route["reasons"]))
        parts.append(_md_table(("", ""), facts(route)))
        if rows := latency(route):
            parts.append(_md_table(LATENCY, rows))
        parts.extend(_md_fingerprint(entry) for entry in route["fingerprints"])
    return "\n\n".join(part for part in parts if part) + "\n"


def html(report: Report) -> str:
    """The report as one page that needs nothing else: no script, no network, readable by day and by night."""
    window = report["window"]
    body = [
        f"<h1>Report of {_html(report['generated_at'])}</h1>",
        f"<p>exchanges from {_html(window['since'])} to {_html(window['until'])}</p>",
        _html_table(SUMMARY, [summary(route) for route in report["routes"]])
        if report["routes"]
        else "<p>routes.yaml has no route: there is nothing to report on</p>",
        *(_html_route(route) for route in report["routes"]),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>strangler: report</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def junit(report: Report) -> str:
    """The report for a CI: one test case per route. A fail is a failure; what is inconclusive is an error, since
    nobody may take a test that could not decide for one that passed."""
    routes = report["routes"]
    failures = sum(route["verdict"] == "fail" for route in routes)
    errors = sum(route["verdict"] == "inconclusive" for route in routes)
    counts = f'tests="{len(routes)}" failures="{failures}" errors="{errors}"'
    cases = "".join(_junit_case(route) for route in routes)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites {counts}>\n  <testsuite name="strangler" {counts} timestamp={_xml(report["generated_at"])}>\n'
        f"{cases}  </testsuite>\n</testsuites>\n"
    )


# -- Markdown ---------------------------------------------------------------------------------------------


def _md(text: str) -> str:
    return _MARKS.sub(r"\\\1", printable(text, TEXT_LIMIT))


def _md_code(text: str) -> str:
    """A code span (CommonMark section 6.1) that holds any text. Not for tables, where a bar would end the cell."""
    shown = printable(text, TEXT_LIMIT)
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    return f"{fence} {shown} {fence}" if shown else "–"


def _md_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_md(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _md_list(reasons: Iterable[str]) -> str:
    return "\n".join(f"- {_md(reason)}" for reason in reasons)


def _md_fingerprint(entry: FingerprintEntry) -> str:
    shown = example(entry)
    lines = [
        f"**{_md(entry['severity'])}**: {_md(entry['kind'])} at {_md_code(place(entry))}, "
        f"{_md(seen(entry))} ({_md_code(entry['id'])})",
        f"- legacy: {_md(entry['legacy'])} {_md_code(shown.legacy)}",
        f"- extracted: {_md(entry['extracted'])} {_md_code(shown.extracted)}",
    ]
    if shown.target:
        lines.append(f"- for example {_md_code(shown.target)}")
    return lines[0] + "\n\n" + "\n".join(lines[1:])


# -- HTML -------------------------------------------------------------------------------------------------


def _html(text: str) -> str:
    return escape(printable(text, TEXT_LIMIT))


def _html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{_html(name)}</th>' for name in head)
    cells = ("".join(f"<td>{_html(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _html_route(route: RouteReport) -> str:
    reasons = "".join(f"<li>{_html(reason)}</li>" for reason in route["reasons"])
    known = "".join(
        f'<tr><th scope="row">{_html(name)}</th><td>{_html(text)}</td></tr>' for name, text in facts(route)
    )
    rows = latency(route)
    return "".join(
        [
            f'<section><h2>{_html(route["route"])} <span class="verdict">{_html(route["verdict"])}</span></h2>',
            f"<ul>{reasons}</ul><table><tbody>{known}</tbody></table>",
            _html_table(LATENCY, rows) if rows else "",
            *(_html_fingerprint(entry) for entry in route["fingerprints"]),
            "</section>",
        ]
    )


def _html_fingerprint(entry: FingerprintEntry) -> str:
    shown = example(entry)
    target = f"<div>for example <code>{_html(shown.target)}</code></div>" if shown.target else ""
    return (
        f'<article class="{_html(entry["severity"])}"><strong>{_html(entry["severity"])}</strong>: '
        f"{_html(entry['kind'])} at <code>{_html(place(entry))}</code>, {_html(seen(entry))} "
        f"(<code>{_html(entry['id'])}</code>){target}"
        + _html_table(
            ("side", "class", "value"),
            [
                ("legacy", entry["legacy"], shown.legacy),
                ("extracted", entry["extracted"], shown.extracted),
            ],
        )
        + "</article>"
    )


# -- JUnit ------------------------------------------------------------------------------------------------


def _xml(text: str) -> str:
    # Whatever XML 1.0 section 2.2 forbids is not printable, so no further check is needed.
    return quoteattr(printable(text, TEXT_LIMIT))


def _junit_case(route: RouteReport) -> str:
    opening = f'    <testcase classname="strangler" name={_xml(route["route"])}'
    if route["verdict"] == "pass":
        return f"{opening}/>\n"
    element = "failure" if route["verdict"] == "fail" else "error"
    first = route["reasons"][0] if route["reasons"] else route["verdict"]
    lines = [
        *route["reasons"],
        *(
            f"{entry['severity']}: {entry['kind']} at {place(entry)}, {seen(entry)}: "
            f"legacy {shown.legacy or entry['legacy']}, extracted {shown.extracted or entry['extracted']}"
            for entry in route["fingerprints"]
            for shown in [example(entry)]
        ),
    ]
    told = "\n".join(escape(printable(line, TEXT_LIMIT), quote=False) for line in lines)
    return f"{opening}>\n      <{element} message={_xml(first)}>{told}</{element}>\n    </testcase>\n"
