"""A pool for each upstream, kept from table to table while neither the upstream nor a file of its changes."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from strangler.http.pool import Place, Pool, pool_to
from strangler.http.tls import Signature, signature

_P = TypeVar("_P", bound=Place)


@dataclass(frozen=True, slots=True)
class Made(Generic[_P]):
    """A pool, what it was made for, and the state in which its files were."""

    pool: Pool
    place: _P
    files: Signature


class Pools(Generic[_P]):
    """The pools in use, by name. `limit` says how many connections one may have."""

    def __init__(self, limit: Callable[[_P], int]) -> None:
        self._limit = limit
        self._made: dict[str, Made[_P]] = {}

    def make(self, places: Mapping[str, _P]) -> dict[str, Made[_P]]:
        """A pool for each upstream: the one there is, or a new one. Raises TlsFault; nothing is in use yet.

        May be called in a thread: the system's authorities alone take 20 ms to read, for each upstream.
        """
        made: dict[str, Made[_P]] = {}
        for name, place in places.items():
            files = signature(_files(place))
            old = self._made.get(name)
            if old is not None and old.files == files and self._will_do(old.place, place):
                made[name] = Made(old.pool, place, files)
            else:
                made[name] = Made(pool_to(place, limit=self._limit(place)), place, files)
        return made

    def use(self, made: dict[str, Made[_P]]) -> dict[str, Pool]:
        """Take pools into use; those that are no longer close, as soon as they carry nothing."""
        pools = {name: each.pool for name, each in made.items()}
        for name, old in self._made.items():
            if pools.get(name) is not old.pool:
                old.pool.close()
        self._made = made
        return pools

    def close(self) -> None:
        """Close every connection that carries nothing."""
        for made in self._made.values():
            made.pool.close()

    def _will_do(self, old: _P, new: _P) -> bool:
        """Connections to the one will do for the other."""
        return _facts(old) == _facts(new) and self._limit(old) == self._limit(new)


def _facts(place: Place) -> tuple[object, ...]:
    return place.host, place.port, place.timeouts, place.tls


def _files(place: Place) -> list[str]:
    """What was read to speak TLS with an upstream: its own files, or the system's authorities."""
    tls = place.tls
    if tls is None:
        return []
    files = [tls.ca, tls.certificate, tls.key]
    if tls.ca is None and tls.verify:
        system = ssl.get_default_verify_paths()
        files += [system.cafile, system.capath]
    return [file for file in files if file is not None]
