"""`strangler replay`."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from strangler.cli.common import complain, console, places, say
from strangler.cli.report import FORMATS, plain
from strangler.cutover import read_table, write_whole
from strangler.cutover.report import report_on
from strangler.cutover.standing import EVIDENCE
from strangler.evidence import Report, Store, examples_of, read, read_recorded, render_report, within
from strangler.observer.har import HarError, read_har
from strangler.observer.replay import Asked, Chosen, against, choose, replay
from strangler.routes import Table, Upstream, UpstreamTls, parse_duration, parse_upstream_url


@click.command("replay", short_help="Ask a service again what was asked before, and report.")
@click.argument("route", required=False)
@click.option("--against", "address", required=True, metavar="URL", help="The service that is to take over.")
@click.option("--legacy", metavar="URL", help="Whom it is compared with; else the table's legacy upstream.")
@click.option(
    "--fingerprint", "identity", metavar="ID", help="Ask for the kept examples of this fingerprint."
)
@click.option("--since", metavar="TIME", help="Only what was asked since: 2026-11-24T10:00 or 2h ago.")
@click.option("--until", metavar="TIME", help="Only what was asked until then.")
@click.option("--har", type=click.Path(path_type=Path), metavar="FILE", help="Ask for what is in a HAR file.")
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send this to both sides."
)
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True, help="At most so many."
)
@click.option("--parallel", type=click.IntRange(1, 64), default=4, show_default=True, help="So many at once.")
@click.option("--format", "form", type=click.Choice(["text", *FORMATS]), default="text", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the report there.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@places
def replay_command(
    routes: Path,
    state: Path,
    route: str | None,
    address: str,
    legacy: str | None,
    identity: str | None,
    since: str | None,
    until: str | None,
    har: Path | None,
    headers: tuple[str, ...],
    limit: int,
    parallel: int,
    form: str,
    out: Path | None,
    as_json: bool,
) -> int:
    """Ask a service again what was asked before, compare its answers with the legacy side's, and report.

    The requests are a sample of the safe ones that the proxy has seen (of one ROUTE, or of all), the examples of a
    fingerprint, or those of a HAR file, whose own answers it is then compared with unless --legacy says otherwise.
    Nothing that may change something is ever asked. The evidence of the state folder is left as it is.

    Exit code 0 when every answer agreed, 1 when one did not, 3 when nothing could be compared.

    \b
    Examples:
      strangler replay payment-read --against http://127.0.0.1:8002
      strangler replay --against http://127.0.0.1:8002 --har session.har
      strangler replay --against https://pay.test --fingerprint 3f9a41d0aa17beef
    """
    table, _ = read_table(routes, state)
    target = against(
        table, _upstream(address, "--against"), _upstream(legacy, "--legacy") if legacy else None
    )
    sent = _fields(headers)
    if har is not None:
        target = target if legacy else _alone(target)
        found = _from_har(har, sent, keep_answers=legacy is None)
    else:
        host = target.upstreams[target.legacy].authority.encode()
        found = _from_evidence(
            state, route, identity, (_moment(since, 0.0), _moment(until, time.time())), host, sent
        )
    chosen = choose(target, found[:limit], route)
    _tell_left_out(chosen, len(found) - limit)
    report = _observed(target, chosen, route, parallel)
    _write(report, "json" if as_json else form, out)
    compared = [each for each in report["routes"] if each["coverage"]["compared"]]
    if any(each["outcomes"]["mismatch"] for each in compared):
        return 1
    return 0 if compared else 3


def _observed(table: Table, chosen: Chosen, route: str | None, parallel: int) -> dict[str, Any]:
    """The report on what is asked for now, from evidence of its own."""
    with tempfile.TemporaryDirectory(prefix="strangler-replay-") as folder:
        with Store.open(Path(folder) / EVIDENCE) as store, _progress(len(chosen.exchanges)) as told:
            asyncio.run(replay(table, chosen.exchanges, store, parallel, told))
        asked = {exchange.route for exchange, _ in chosen.exchanges}
        listed = replace(
            table, routes=tuple(each for each in table.routes if each.name in asked or each.name == route)
        )
        return report_on(listed, Path(folder))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error, where that is a terminal. Gives what tells it that one more is done."""
    errors = Console(stderr=True)
    bar = Progress(
        TextColumn("asking"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    task = bar.add_task("asking", total=total)
    with bar:
        yield lambda: bar.advance(task)


def _write(report: dict[str, Any], form: str, out: Path | None) -> None:
    found = cast(Report, report)
    if out is not None:
        write_whole(out, FORMATS.get(form, plain)(found).encode())
    elif form in FORMATS:
        say(FORMATS[form](found).removesuffix("\n"))
    else:
        render_report(found, console())


def _from_evidence(
    state: Path,
    route: str | None,
    identity: str | None,
    window: tuple[float, float],
    host: bytes,
    sent: tuple[tuple[bytes, bytes], ...],
) -> list[Asked]:
    path = state / EVIDENCE
    found = examples_of(read(path), identity) if identity else read_recorded(path, route)
    if not found:
        what = f"no example of {identity} that can be asked for" if identity else "no recorded request"
        complain(f"strangler: {what} in {state}")
    return [
        Asked(each.at, each.method, each.target, ((b"Host", host), *sent))
        for each in within(found, *window)[::-1]
    ]


def _from_har(path: Path, sent: tuple[tuple[bytes, bytes], ...], *, keep_answers: bool) -> list[Asked]:
    names = {name.lower() for name, _ in sent}
    try:
        saved = read_har(path.read_bytes(), str(path))
    except HarError as error:
        raise click.BadParameter(str(error), param_hint="--har") from None
    now = time.time()
    return [
        Asked(
            now,
            each.method,
            each.target,
            (*(field for field in each.headers if field[0].lower() not in names), *sent),
            each.answer if keep_answers else None,
        )
        for each in saved
    ]


def _alone(table: Table) -> Table:
    """With nobody on the legacy side, nobody can be asked twice."""
    quiet = (replace(each, compare=replace(each.compare, noise=0, confirm=None)) for each in table.routes)
    return replace(table, routes=tuple(quiet))


def _tell_left_out(chosen: Chosen, beyond: int) -> None:
    for reason, count in sorted(chosen.left_out.items()):
        complain(f"strangler: left out, because {reason}: {count}")
    if beyond > 0:
        complain(f"strangler: left out, because of --limit: {beyond}")


def _upstream(url: str, option: str) -> Upstream:
    try:
        origin = parse_upstream_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
    tls = UpstreamTls() if origin.secure else None
    return Upstream("", origin.address.host, origin.address.port, tls=tls)


def _moment(text: str | None, default: float) -> float:
    """Unix time of a moment, or of so long ago."""
    if text is None:
        return default
    try:
        return time.time() - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            "write a moment such as 2026-11-24T10:00, or how long ago, such as 2h",
            param_hint="--since/--until",
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _fields(lines: Iterable[str]) -> tuple[tuple[bytes, bytes], ...]:
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.isascii() or not name.strip() or not line.isprintable():
            raise click.BadParameter(f"write 'name: value', not {json.dumps(line)[:80]}", param_hint="-H")
        fields.append((name.strip().encode(), value.strip().encode("latin-1", "replace")))
    return tuple(fields)
