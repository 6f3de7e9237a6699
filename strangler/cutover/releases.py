"""Which release of a service answers, for services that do not say so themselves.

Kept in `releases.json` in the state folder, and every change in the ledger. What an answer says of itself (X-Release)
is believed before what is written here.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from strangler.cutover import ledger
from strangler.cutover.errors import BadValue
from strangler.cutover.file import check_why, read_table, stamp
from strangler.cutover.ledger import Entry
from strangler.cutover.lock import held
from strangler.cutover.whole import read_kept, write_kept
from strangler.routes import Table

NAME = "releases.json"
LONGEST = 100  # characters, as of the header

_Named = dict[str, str]


def read_releases(state_dir: Path) -> _Named:
    """`route:NAME` and `upstream:NAME` -> release. Raises CannotWrite when the file cannot be understood."""
    return read_kept(state_dir / NAME, _Named) or {}


def release_of(named: _Named, upstream: str, route: str | None = None) -> str:
    """The release that is written down: of the extracted side of a route first, then of an upstream."""
    return named.get(f"route:{route}", "") or named.get(f"upstream:{upstream}", "")


def set_release(path: Path, state_dir: Path, name: str, release: str, *, who: str, why: str) -> Entry | None:
    """Write down which release a route's extracted side, or an upstream, is; None when it says so already.

    `name` is that of a route or an upstream, or `route:NAME` or `upstream:NAME` where there are both. Raises BadValue,
    CannotWrite; Faults when routes.yaml is faulty.
    """
    check_why(why)
    if not release.isprintable() or not 0 < len(release) <= LONGEST or release != release.strip():
        raise BadValue(
            f"a release is a word of 1 to {LONGEST} printable characters, such as v2 or 2026-11-24"
        )
    with held(state_dir, path.resolve().parent):
        table, data = read_table(path)
        key = _key(table, name)
        named = read_releases(state_dir)
        before = named.get(key, "")
        if before == release:
            return None
        digest = hashlib.sha256(data).hexdigest()
        write_kept(state_dir / NAME, {**named, key: release})
        entry = Entry(
            at=stamp(lambda: datetime.now(UTC)),
            who=who,
            route=key,
            key="release",
            from_=before,
            to=release,
            why=why,
            file_before=digest,
            file_after=digest,
            evidence="",
        )
        return ledger.append(state_dir, entry)


def _key(table: Table, name: str) -> str:
    routes = {f"route:{route.name}" for route in table.routes}
    upstreams = {f"upstream:{upstream}" for upstream in table.upstreams}
    if name in routes | upstreams:
        return name
    found = sorted({f"route:{name}", f"upstream:{name}"} & (routes | upstreams))
    if len(found) == 2:
        raise BadValue(f"{name} is both a route and an upstream: write {found[0]} or {found[1]}")
    if not found:
        names = ", ".join(sorted(key.partition(":")[2] for key in routes | upstreams)[:20])
        raise BadValue(f"there is no route and no upstream {name!r}; there are {names}")
    return found[0]
