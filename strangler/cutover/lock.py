"""One change at a time, over all processes of a machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strangler.cutover.errors import CannotWrite

#: How long a change waits for another one, in seconds. A change takes milliseconds: longer means it hangs.
PATIENCE = 10.0
_PAUSE = 0.005


@contextmanager
def held(state_dir: Path, folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the state folder's lock and the lock of routes.yaml's folder. Raises CannotWrite.

    The second lock is there because two state folders may serve one routes.yaml: without it, one of two
    changes at the same instant would be lost. `flock` belongs to the open file, so threads of one process
    exclude each other as well, and the kernel lets go when a process is killed.
    """
    deadline = time.monotonic() + patience
    make_state(state_dir)
    with (
        _locked(state_dir / "lock", os.O_RDWR | os.O_CREAT, deadline),
        _locked(folder, os.O_RDONLY, deadline),
    ):
        yield


def make_state(state_dir: Path) -> None:
    """Make the state folder if there is none. Raises CannotWrite."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"cannot make the state folder {state_dir}: {error.strerror}") from None


@contextmanager
def _locked(path: Path, flags: int, deadline: float) -> Iterator[None]:
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise CannotWrite(f"cannot open {path}: {error.strerror}") from None
    try:
        _acquire(descriptor, path, deadline)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, deadline: float) -> None:
    """Try until the deadline: a blocking flock could neither be given up nor be told of a shutdown."""
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise CannotWrite(f"another change has held {path} for too long; try again") from None
            time.sleep(_PAUSE)
        except OSError as error:
            raise CannotWrite(f"cannot lock {path}: {error.strerror}") from None
