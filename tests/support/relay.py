"""Stands where the proxy stands, between the monolith and the services, and does to a call what a test wants."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from typing import Any

STEPS = ("reserve", "charge", "confirm", "refund", "release")
PATIENCE = 30.0


class Drop(Exception):
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Say(Exception):
    """Answer this, without asking the service."""

    status: int
    body: bytes = b"{}"


@dataclass
class Relay:
    """Calls go to `ports[service]`. `before` is told the step of a call that has come, `after` of one that is answered.

    Either may raise Drop or Say. `half` kills in the middle: it is called when the service has half of the call.
    """

    port: int
    ports: dict[str, int]
    before: Callable[[str], None] = lambda step: None
    half: Callable[[str], None] = lambda step: None
    after: Callable[[str], None] = lambda step: None
    seen: list[tuple[str, str, int]] = field(default_factory=list)  # step, key, status; 0 for no answer

    def calm(self) -> None:
        """Do nothing to any call."""
        self.before = self.half = self.after = lambda step: None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def step_of(path: str) -> str:
    last = path.rsplit("/", 1)[1]
    return {"payments": "charge", "reservations": "reserve"}.get(last, last)


def service_of(step: str) -> str:
    return "payments" if step in ("charge", "refund") else "inventory"


class _Server(ThreadingHTTPServer):
    """One whose connections and threads end with it, whoever still holds the other side."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.open: set[Any] = set()
        super().__init__(("127.0.0.1", 0), handler)
        self.daemon_threads = False  # so they are waited for

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for each in tuple(self.open):
            with suppress(OSError):
                each.shutdown(SHUT_RDWR)
        super().server_close()


@contextmanager
def relaying(**ports: int) -> Iterator[Relay]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            step, key = step_of(self.path), self.headers["Idempotency-Key"]
            try:
                relay.before(step)
                said = _forward(relay, step, self.path, dict(self.headers.items()), body)
                relay.after(step)
            except Say as instead:
                said = instead
            except (Drop, OSError, HTTPException):
                relay.seen.append((step, key, 0))
                self.close_connection = True
                return
            relay.seen.append((step, key, said.status))
            self.send_response(said.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # the monolith was killed meanwhile
                super().handle()

    with _Server(Handler) as server:
        relay = Relay(server.server_address[1], ports)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield relay
        finally:
            server.shutdown()
            thread.join()


def _forward(relay: Relay, step: str, path: str, headers: dict[str, str], body: bytes) -> Say:
    port = relay.ports[service_of(step)]
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.putrequest("POST", path)
        for name in ("Content-Type", "Content-Length", "Idempotency-Key", "Authorization"):
            if name in headers:
                connection.putheader(name, headers[name])
        connection.endheaders(body[: len(body) // 2])
        relay.half(step)
        connection.send(body[len(body) // 2 :])
        response = connection.getresponse()
        return Say(response.status, response.read())
