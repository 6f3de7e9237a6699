"""The server that serves with a state folder, if one does, and what its admin API says."""

from __future__ import annotations

import http.client
import json
import os
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote


class NoAnswer(Exception):
    """The admin listener did not answer, or not as one does. The message is one line."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `admin` is `host:port`, as bound."""

    pid: int
    listen: str
    admin: str

    def get(self, path: str, timeout: float = 5.0) -> dict[str, Any]:
        """One answer of the admin API. Raises NoAnswer."""
        host, port = _reachable(self.admin)
        token = os.environ.get("STRANGLER_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer(f"the admin listener on {self.admin} does not answer: {error}") from None
        finally:
            connection.close()
        if not isinstance(body, dict):
            raise NoAnswer(f"what listens on {self.admin} is not strangler's admin API")
        if answer.status != 200:
            hint = "; set STRANGLER_TOKEN" if answer.status == 401 else ""
            raise NoAnswer(f"the admin listener says {answer.status}: {body.get('detail', '')}{hint}")
        return body


def running(state: Path) -> Server | None:
    """The server that serves with this state folder. A file left by one that was killed does not count."""
    try:
        facts = json.loads((state / "server.json").read_bytes())
        server = Server(int(facts["pid"]), str(facts["listen"]), str(facts["admin"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return server if _alive(server.pid) else None


def taken(
    server: Server,
    routes: Path,
    route: str,
    key: str,
    percent: float,
    patience: float = 5.0,
    *,
    kept: bool = False,
) -> str | None:
    """Wait until the running proxy has taken a change. None then, otherwise why it is not known to have.

    It is in force when the running table is the file as it stands now, since somebody may have changed it again,
    and says what was asked. The value alone would not do: a proxy that is just taking an earlier change may
    still show the value from before it.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            shown = server.get(f"/api/v1/routes/{quote(route, safe='')}")
            if kept and shown.get(key) == percent:  # the file is as before: only the value can tell
                return None
            if shown.get("table") != sha256(routes.read_bytes()).hexdigest():
                reason = "; ".join(shown.get("faults", [])) or f"it still runs with {key} {shown.get(key)}%"
            elif shown.get(key) == percent:
                return None
            elif kept:
                reason = f"it still runs with {key} {shown.get(key)}%"
            else:
                return f"{key} was changed again, to {shown.get(key)}%"
        except (NoAnswer, OSError) as error:
            reason = str(error)
        if time.monotonic() >= deadline:
            return reason
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True  # somebody else's process: it is there
    return True


def _reachable(bound: str) -> tuple[str, int]:
    """Where to knock: a listener on every address is reached on loopback."""
    host, _, port = bound.rpartition(":")
    host = host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return host, int(port) if port.isdecimal() else 0
