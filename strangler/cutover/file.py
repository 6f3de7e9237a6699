"""routes.yaml as a file: read it whole, change one value of it whole.

A change goes through four steps, under a lock:

1. the new bytes are written to a file beside routes.yaml and put on disk;
2. the entry is appended to the ledger and put on disk;
3. the new file is renamed over the old one;
4. the folder is put on disk.

So routes.yaml is always the old file or the new one, and nothing moves without an entry: a crash between 2
and 3 leaves an entry for a change that did not happen, never a change without an entry. The next change finds
routes.yaml as it was before that entry, and first appends the entry that takes it back. The other order would
leave changes that nobody is named for, and those cannot be told from edits by hand.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from strangler.compare import fault as rule_fault
from strangler.compare import printable
from strangler.cutover import ledger
from strangler.cutover.errors import BadValue, CannotWrite, UnknownRoute
from strangler.cutover.keep import enter, keep_move, taken_back
from strangler.cutover.ledger import Entry
from strangler.cutover.lock import held
from strangler.cutover.moves import let_go_of_overruled, overlaid, read_moves, without, write_moves
from strangler.cutover.past import differences, standing_at
from strangler.routes import (
    MOST_BYTES,
    CannotEdit,
    Fault,
    Faults,
    Percent,
    Table,
    format_percent,
    parse,
    parse_percent,
    set_value,
)

LONGEST_REASON = 1000
_ATTEMPTS = 20

#: Who has made a change that no command made: an editor, a deployment.
BY_HAND = "by hand: routes.yaml"

#: What of a route a change may edit.
Edited = Literal["share", "shadow"]


def read_table(path: Path, state_dir: Path | None = None) -> tuple[Table, bytes]:
    """The table and the bytes it was read from. Raises Faults, also when the file cannot be read.

    With a state folder the shares that are kept there hold in place of the file's (see moves.py); then CannotWrite is
    raised too, when what is kept cannot be understood.
    """
    data = _read(path)
    table = _parse(data, path)
    return table if state_dir is None else overlaid(table, read_moves(state_dir)), data


def change(
    path: Path,
    state_dir: Path,
    route: str,
    key: Edited,
    value: str,
    who: str,
    why: str,
    *,
    evidence: str = "",
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    keep: bool = False,
    only_if: Callable[[Percent], bool] = lambda present: True,
) -> Entry | None:
    """Set a route's share or shadow (`value` such as `25%`). None when it has that value already.

    With `keep`, a share that the file cannot be told is kept in the state folder, and holds all the same.
    `only_if` is asked of the present value, under the lock: what was decided by an older one may be wrong by now. When
    it says no, nothing changes, and None is given as well.

    Raises UnknownRoute, BadValue, CannotWrite; Faults when routes.yaml is faulty as it stands;
    routes.edit.CannotEdit when the value stands where it cannot be replaced.
    """
    wanted = settled_value(value)
    check_why(why)
    target = _target(path)
    with held(state_dir, target.parent):
        for _ in range(_ATTEMPTS):
            table, data = read_table(path, state_dir)
            let_go_of_overruled(state_dir, table)
            _take_back_what_did_not_happen(state_dir, data, now)
            _note(state_dir, table, data, now, all_routes=False)
            known = table.route(route)
            if known is None:
                raise UnknownRoute(route, (each.name for each in table.routes))
            present: Percent = getattr(known, key)
            before = format_percent(present)
            if before == wanted or not only_if(present):
                return None
            entry = Entry(
                at=stamp(now),
                who=who,
                route=route,
                key=key,
                from_=before,
                to=wanted,
                why=why,
                file_before=_digest(data),
                file_after=_digest(data),
                evidence=evidence,
            )
            written = _carry_out(path, target, state_dir, table, data, entry, keep)
            if written is not None:
                return written
    raise CannotWrite(f"{path} keeps changing; try again when nothing else writes it")


def _carry_out(
    path: Path, target: Path, state_dir: Path, table: Table, data: bytes, entry: Entry, keep: bool
) -> Entry | None:
    """Make the change of an entry. None when somebody without the lock saved the file meanwhile."""
    of_share = entry.key == "share"
    kept = dict(table.kept).get(entry.route) if of_share else None
    if kept is not None and format_percent(kept) == entry.to:
        # The file says so: only what held in its place has to go.
        return enter(state_dir, entry, without(read_moves(state_dir), entry.route))
    try:
        edited = _edited(data, path, entry.route, "share" if of_share else "shadow", entry.to)
        written = _replace(target, data, edited, state_dir, entry)
    except (CannotWrite, CannotEdit) as error:
        if not keep or not of_share:
            raise
        return keep_move(state_dir, entry, entry.from_ if kept is None else format_percent(kept), str(error))
    if written is not None and kept is not None:
        write_moves(state_dir, without(read_moves(state_dir), entry.route))
    return written


def keep_share(
    path: Path,
    state_dir: Path,
    route: str,
    present: Percent,
    in_file: str,
    value: str,
    who: str,
    why: str,
    evidence: str,
    problem: str,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Entry:
    """Keep a share in the state folder without a look at the file, which is faulty or gone. `present` is as it runs,
    `in_file` what the last good save says. Raises CannotWrite."""
    folder = path.resolve().parent
    with held(state_dir, folder if folder.is_dir() else state_dir):
        try:
            digest = _digest(_read(path))
        except Faults:
            entries = ledger.read(state_dir).entries
            digest = entries[-1].file_after if entries else ""
        entry = Entry(
            at=stamp(now),
            who=who,
            route=route,
            key="share",
            from_=format_percent(present),
            to=settled_value(value),
            why=why,
            file_before=digest,
            file_after=digest,
            evidence=evidence,
        )
        return keep_move(state_dir, entry, in_file, problem)


def settled_value(value: str) -> str:
    """The percentage as it is written (`25.0%` becomes `25%`). Raises BadValue."""
    try:
        return format_percent(parse_percent(value))
    except ValueError as error:
        raise BadValue(f"{printable(value, 60)!r}: {error}") from None


def check_why(why: str) -> None:
    """Raises BadValue for a reason that is too long or would disturb a terminal that shows it."""
    if len(why) > LONGEST_REASON:
        raise BadValue(f"the reason is {len(why)} characters long; {LONGEST_REASON} is the most")
    if why and not why.isprintable():
        raise BadValue("the reason must be one line without control characters")


def _target(path: Path) -> Path:
    """Where the bytes are: a symbolic link stays a link, what it points at is replaced."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from None


def _read(path: Path) -> bytes:
    try:
        # O_NONBLOCK: a pipe of that name must be refused, not waited for.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            # One byte more than `parse` takes, so that it says what is wrong.
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return data


def _unreadable(path: Path, error: Exception) -> Faults:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Faults(str(path), (Fault(1, 1, f"cannot read the file: {reason}"),))


def _parse(data: bytes, path: Path) -> Table:
    # The folder of the link, when `path` is one: what it points at moves, as in a mounted Kubernetes ConfigMap.
    return parse(
        data,
        file=str(path),
        check_rule=rule_fault,
        folder=str(path.absolute().parent),
    )


def _edited(data: bytes, path: Path, route: str, key: Edited, wanted: str) -> bytes:
    """The file after the edit, read back: what is written is known to be valid and to say what was asked."""
    edited = set_value(data, route, key, wanted)
    changed = _parse(edited, path).route(route)
    if changed is None or format_percent(getattr(changed, key)) != wanted:
        raise CannotWrite(f"{path}: the edit would not set {key} of {route} to {wanted}; edit it by hand")
    return edited


def _replace(target: Path, data: bytes, edited: bytes, state_dir: Path, entry: Entry) -> Entry | None:
    """Steps 1 to 4. None when somebody without the lock (an editor) saved the file meanwhile."""
    fresh = target.with_name(f".{target.name}.strangler-new")
    try:
        _write(fresh, edited, like=target)
        if target.read_bytes() != data:
            fresh.unlink()
            return None
    except OSError as error:
        _clear_away(fresh)
        raise _unwritable(target, error) from None
    try:
        written = ledger.append(state_dir, msgspec.structs.replace(entry, file_after=_digest(edited)))
    except CannotWrite:
        _clear_away(fresh)
        raise
    try:
        os.replace(fresh, target)
    except OSError as error:
        _clear_away(fresh)
        ledger.append(state_dir, taken_back(written, f"not carried out: {error.strerror}", written.at))
        raise _unwritable(target, error) from None
    ledger.sync_folder(target.parent)
    return written


def _clear_away(fresh: Path) -> None:
    """Remove what was not put into place. What stands in the way of that is told by what stood in the way before."""
    with suppress(OSError):
        fresh.unlink(missing_ok=True)


def _write(fresh: Path, data: bytes, like: Path) -> None:
    """Write a new file with the mode, and where permitted the owner, of another. What a crash left goes."""
    fresh.unlink(missing_ok=True)
    facts = like.stat()
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        with suppress(PermissionError):  # another user's file in our folder becomes ours, as with any editor
            os.fchown(file.fileno(), facts.st_uid, facts.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(facts.st_mode))
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _unwritable(target: Path, error: OSError) -> CannotWrite:
    hint = {
        errno.EBUSY: "; is the file itself a mount point? Mount its folder instead",
        errno.EACCES: "; its folder must be writable, since a new file takes the old one's place",
        errno.EROFS: "; its folder must be writable, since a new file takes the old one's place",
    }.get(error.errno or 0, "")
    return CannotWrite(f"cannot replace {target}: {error.strerror}{hint}")


def _take_back_what_did_not_happen(state_dir: Path, data: bytes, now: Callable[[], datetime]) -> None:
    entries = ledger.read(state_dir).entries
    if not entries:
        return
    last, found = entries[-1], _digest(data)
    if found == last.file_before and found != last.file_after:
        why = "routes.yaml was found as before this change: undone by hand, or a crash before it was written"
        ledger.append(state_dir, taken_back(last, why, stamp(now)))


def note_by_hand(
    path: Path, state_dir: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[Entry]:
    """Enter into the ledger what routes.yaml says otherwise: somebody has edited it, or it was never told.

    Raises CannotWrite; Faults when the file is faulty, of which nothing is entered.
    """
    with held(state_dir, _target(path).parent):
        table, data = read_table(path, state_dir)
        let_go_of_overruled(state_dir, table)
        _take_back_what_did_not_happen(state_dir, data, now)
        return _note(state_dir, table, data, now, all_routes=True)


def _note(
    state_dir: Path, table: Table, data: bytes, now: Callable[[], datetime], *, all_routes: bool
) -> list[Entry]:
    entries = ledger.read(state_dir).entries
    digest, at = _digest(data), stamp(now)
    before = entries[-1].file_after if entries else digest
    found = differences(standing_at(entries), table, all_routes=all_routes)
    if not found:
        return []
    return ledger.append_all(
        state_dir,
        [
            Entry(
                at=at,
                who=BY_HAND,
                route=each.route,
                key=each.key,
                from_=each.before,
                to=each.after,
                why="" if entries else "first seen",
                file_before=digest if number else before,
                file_after=digest,
                evidence="",
            )
            for number, each in enumerate(found)
        ],
    )


def stamp(now: Callable[[], datetime]) -> str:
    """The moment as the ledger writes it."""
    return now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
