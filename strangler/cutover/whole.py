"""Files that nobody ever sees half of, and the small ones of the state folder, in JSON."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from strangler.cutover.errors import CannotWrite

_T = TypeVar("_T")


def read_kept(path: Path, kind: type[_T]) -> _T | None:
    """What a file of the state folder holds; None when there is none. Raises CannotWrite when it is something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CannotWrite(f"{path}: cannot be read: {' '.join(str(error).split())}") from None


def write_kept(path: Path, value: Any) -> None:
    """Put a value into a file of the state folder. Raises CannotWrite; then the file is as it was."""
    try:
        write_whole(path, msgspec.json.format(msgspec.json.encode(value)))
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror}") from None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, or leave the one that was there as it was. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
