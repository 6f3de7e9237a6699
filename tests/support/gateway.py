"""A gateway worker's inside between a caller and two sides, on real sockets, so that the bytes can be looked at."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from strangler.exchange import sheet as sheets
from strangler.exchange.frames import Hello, Splitter, decode_exchange, decode_hello
from strangler.exchange.model import Exchange
from strangler.exchange.sheet import WORKER, Sheet
from strangler.gateway.access import Access
from strangler.gateway.feed import Feed
from strangler.gateway.forward import Forwarder, Running
from strangler.gateway.gauges import Gauges
from strangler.gateway.listener import Listener
from strangler.gateway.services import Service, Services
from strangler.http.pool import Pool, pool_to
from strangler.routes import Router, Table, parse
from tests.support.raw import Conversation, answering, read_head, serving, until
from tests.support.servers import stop

ROUTES = """
version: 1
trace: {trace}
{top}
identity: [header:x-user-id, cookie:session]
upstreams:
  old: {{url: "{scheme}://127.0.0.1:{old}", timeout: {timeout}{upstream}}}
  new: {{url: [{new}], timeout: {timeout}{upstream}}}
legacy: old
routes:
  - {{name: pay, match: "/pay/{{id}}", extracted: new, share: {share}, shadow: {shadow}, rewrite: "/v2/{{id}}",
     headers: {{set: {{X-New: "1"}}, remove: [X-Old]}}{route}}}
"""


@dataclass
class Gateway:
    """What a test sees of it. `taken` are the exchanges that were handed over."""

    port: int
    sheet: Sheet
    pools: dict[str, Pool]
    listener: Listener
    table: Table
    services: dict[str, Service]
    gauges: Gauges
    taken: list[Exchange] = field(default_factory=list)
    hellos: list[Hello] = field(default_factory=list)

    def count(self, route: str, column: str) -> int:
        return sheets.read(self.sheet.path).get(route, {}).get(column, 0)


@contextlib.asynccontextmanager
async def gateway(
    tmp_path: Path,
    old: Conversation,
    new: Conversation | None = None,
    *,
    share: str = "0%",
    shadow: str = "0%",
    patience: str = "5s",
    observer: bool | Conversation = True,
    top: str = "",
    trace: str = "none",
    upstream: str = "",
    scheme: str = "http",
    route: str = "",
    beside: Conversation | int | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway on a free port. `top` is text for the top of routes.yaml, `upstream` more keys for both
    upstreams, such as `", connections: 2"`, `route` more keys for the route; `patience` is the upstreams' `timeout`.
    `beside` is a second endpoint of the extracted side, or a port where nobody listens. `observer` takes the
    exchanges, if it is not there or does something else.

    When it ends, every connection to an upstream must have been given back: a leak fails the test.
    """
    async with contextlib.AsyncExitStack() as stack:
        old_port = await stack.enter_async_context(serving(old))
        new_port = await stack.enter_async_context(serving(new or answering()))
        if beside is not None and not isinstance(beside, int):
            beside = await stack.enter_async_context(serving(beside))
        places = [f'"{scheme}://127.0.0.1:{port}"' for port in (new_port, beside) if port is not None]
        text = ROUTES.format(
            old=old_port,
            new=", ".join(places),
            share=share,
            shadow=shadow,
            timeout=patience,
            top=top,
            trace=trace,
            upstream=upstream,
            scheme=scheme,
            route=route,
        )
        table = parse(
            text.encode(),
            file="routes.yaml",
            check_rule=lambda *rule: None,
        )
        sheet = stack.enter_context(Sheet(tmp_path / "w.sheet"))
        apart = {key: place for up in table.upstreams.values() for key, place in up.apart().items()}
        by_endpoint = {key: pool_to(place, limit=place.connections) for key, place in apart.items()}
        pools = {key.partition(" ")[0]: pool for key, pool in reversed(by_endpoint.items())}
        services = Services(sheet).use(table.upstreams, by_endpoint)
        running = Running(Router(table), services, {"": sheet.base(""), "pay": sheet.base("pay")})
        feed = Feed(str(tmp_path / "feed"), sheet, "w")
        dropped = partial(sheet.add, WORKER, "lines_dropped")
        access = stack.enter_context(contextlib.closing(Access(dropped)))
        access.use(table.access_log)
        forwarder = Forwarder(running, sheet, feed, lambda: False, access)
        listener = Listener(forwarder, sheet)
        made = Gateway(0, sheet, pools, listener, table, services, Gauges(sheet, forwarder, listener))
        if observer:
            takes = _taking(made) if isinstance(observer, bool) else observer
            stack.push_async_callback(stop, await asyncio.start_unix_server(takes, str(tmp_path / "feed")))
            feed.start()
            await until(lambda: feed.connected)
            await until(lambda: bool(made.hellos) or takes is observer)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(listener, "127.0.0.1", 0)
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            await stop(server)
            await listener.shutdown(1)
            await feed.stop()
            for pool in by_endpoint.values():
                pool.close()
            await until(lambda: all(pool.open == 0 for pool in by_endpoint.values()))


def _taking(made: Gateway) -> Conversation:
    async def taking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        splitter = Splitter()
        hello = None
        while data := await reader.read(65536):
            for frame in splitter.feed(data):
                if hello is None:
                    hello = decode_hello(frame)
                    made.hellos.append(hello)
                else:
                    made.taken.append(decode_exchange(frame))
        writer.close()

    return taking


async def say(port: int, request: bytes, *, answers: int = 1) -> bytes:
    """What comes back for some bytes, until the connection ends or that many answers with a size have come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        got = b""
        for _ in range(answers):
            head = await read_head(reader)
            got += head
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                None,
            )
            if length is not None:
                got += await reader.readexactly(length)
            elif b"chunked" in head.lower():
                got += await reader.readuntil(b"0\r\n\r\n")
        return got
    finally:
        writer.close()


def get(path: str, *fields: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in fields)
    return f"GET {path} HTTP/1.1\r\nHost: shop\r\n{lines}\r\n".encode("latin-1")
