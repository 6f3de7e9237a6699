"""TLS, on the listener and to upstreams: contexts made from PEM files, and a certificate that is renewed in place."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterable
from typing import Literal

#: Tells one state of some files from another.
Signature = tuple[tuple[int, int, int], ...]

#: What OpenSSL says of a key that is another certificate's, of the same kind or (the last one) of another kind.
_MISMATCH = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})


class TlsFault(Exception):
    """A file of TLS's that cannot be used. The text is one line that names it."""


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    """What callers are shown. Raises TlsFault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, certificate, key)
    return context


def client_context(
    *, ca: str | None = None, certificate: str | None = None, key: str | None = None, verify: bool = True
) -> ssl.SSLContext:
    """How an upstream is spoken to. Without `ca` the system's authorities are trusted. Raises TlsFault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_authorities(context, ca)
    if certificate is not None and key is not None:
        _load_pair(context, certificate, key)
    return context


def _load_authorities(context: ssl.SSLContext, path: str) -> None:
    _readable(path)
    try:
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError) as error:
        raise TlsFault(f"{path}: no certificates in PEM form") from error


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    _readable(certificate)
    _readable(key)
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except _Passphrase:
        raise TlsFault(f"{key}: the key is locked with a passphrase; give one without") from None
    except ssl.SSLError as error:
        if error.reason in _MISMATCH:
            raise TlsFault(f"{key}: the key does not belong to the certificate {certificate}") from error
        if error.reason:  # a signature or a key that is too weak, for instance
            why = error.reason.replace("_", " ").lower()
            raise TlsFault(f"{certificate}: OpenSSL refuses it: {why}") from error
        raise TlsFault(f"{_unusable(certificate, key)}: not a usable PEM file") from error
    except OSError as error:
        raise TlsFault(f"{certificate}: {error.strerror or error}") from error


def _unusable(certificate: str, key: str) -> str:
    """Which of the two is at fault: the certificate can be tried alone."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cafile=certificate)
    except (ssl.SSLError, OSError):
        return certificate
    return key


class _Passphrase(Exception):
    pass


def _no_passphrase() -> str:
    # Without this, OpenSSL would ask on the terminal and wait.
    raise _Passphrase


def _readable(path: str) -> None:
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):  # opening it would wait for somebody to write
            raise TlsFault(f"{path}: not a file but a pipe")
        with open(path, "rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise TlsFault(f"{path}: {reason}") from error


def signature(paths: Iterable[str]) -> Signature:
    """When, how long and which the files are. Links are followed; a file that is missing is one more state."""
    found = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


class Certificate:
    """The listener's certificate, with a context that goes on showing the newest good one.

    Raises TlsFault when there is none to begin with.
    """

    def __init__(self, certificate: str, key: str) -> None:
        self._paths = (certificate, key)
        self._seen = signature(self._paths)
        self._fault: str | None = None
        self.context = self._newest = server_context(certificate, key)
        # A context keeps one certificate of each kind of key: loaded into it, an RSA one would stand beside the
        # ECDSA one that it replaces, and the old one would still be shown. So each handshake is given the newest
        # context, in the only callback there is for that; it is called without a name, too.
        self.context.sni_callback = self._give_newest

    def _give_newest(
        self, handshake: ssl.SSLObject | None, name: str | None, context: ssl.SSLContext
    ) -> None:
        if handshake is not None:
            handshake.context = self._newest

    def use(self, certificate: str, key: str) -> None:
        """From the next look on, these are the files."""
        self._paths = (certificate, key)

    def poll(self) -> Literal["renewed"] | TlsFault | None:
        """Look at the files. New handshakes get a new certificate; a faulty one changes nothing.

        A fault is told once, however often it is met: the certificate may be replaced before its key.
        """
        found = signature(self._paths)
        if found == self._seen and self._fault is None:
            return None
        try:
            self._newest = server_context(*self._paths)
        except TlsFault as fault:
            known, self._fault = self._fault, str(fault)
            return None if known == self._fault else fault
        self._seen, self._fault = found, None
        return "renewed"
