"""Certificates of an authority of the tests' own, and upstreams that show them."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from tests.support.raw import Conversation

Run = Callable[[Coroutine[Any, Any, None]], None]
#: Handshakes differ between the loop of the tests and the one of the workers.
LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])

RSA, ECDSA = trustme.KeyType.RSA, trustme.KeyType.ECDSA


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: str
    key: str

    @property
    def context(self) -> ssl.SSLContext:
        """A server's, made by the standard library alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Makes certificates below `folder`. `file` is its own, for who trusts it."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self.file = str(folder / f"{name}.pem")
        self._ca.cert_pem.write_to_path(self.file)

    def pair(self, *names: str, into: str = "pair", key_type: trustme.KeyType = ECDSA) -> Pair:
        """A certificate for these names, written over one that was there before."""
        pair = Pair(str(self._folder / f"{into}.pem"), str(self._folder / f"{into}.key"))
        self.write(pair, *names, key_type=key_type)
        return pair

    def write(
        self,
        pair: Pair,
        *names: str,
        key_type: trustme.KeyType = ECDSA,
        only: tuple[str, ...] = ("certificate", "key"),
    ) -> trustme.LeafCert:
        """A new certificate in the place of another. Gives it, so that the other half can follow."""
        made = self._ca.issue_cert(*(names or ("127.0.0.1", "localhost")), key_type=key_type)
        if "certificate" in only:
            _replace(pair.certificate, b"".join(blob.bytes() for blob in made.cert_chain_pems))
        if "key" in only:
            _replace(pair.key, made.private_key_pem.bytes())
        return made

    def trusting(self) -> ssl.SSLContext:
        """How a caller connects who trusts this authority."""
        return ssl.create_default_context(cafile=self.file)


def write_key(pair: Pair, made: trustme.LeafCert) -> None:
    """The half that was missing."""
    _replace(pair.key, made.private_key_pem.bytes())


def _replace(path: str, data: bytes) -> None:
    fresh = Path(path + ".new")
    fresh.write_bytes(data)
    os.replace(fresh, path)


def over_tls(context: ssl.SSLContext, conversation: Conversation) -> Conversation:
    """The conversation, once hands have been shaken, for `gateway`, which serves in plain (not on uvloop)."""

    async def conversation_over_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.start_tls(context)
        except (ssl.SSLError, ConnectionError):
            return
        await conversation(reader, writer)

    return conversation_over_tls


async def shown(port: int, context: ssl.SSLContext, host: str = "127.0.0.1") -> int:
    """The serial number of the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        return serial(writer)
    finally:
        writer.transport.abort()


def serial(writer: asyncio.StreamWriter) -> int:
    """The serial number of the certificate that the other end of a connection has shown."""
    return int(writer.get_extra_info("ssl_object").getpeercert()["serialNumber"], 16)
