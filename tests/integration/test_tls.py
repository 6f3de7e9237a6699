"""TLS with real handshakes: files that can be used and files that cannot, and a certificate that is renewed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from strangler.http.tls import Certificate, TlsFault, client_context, server_context
from tests.support.tls import LOOPS, RSA, Authority, Pair, Run, serial, shown, write_key


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.pair()


# -- files ---------------------------------------------------------------------------------------------------


def test_a_context_speaks_http_1_1_over_tls_1_2_and_later(authority: Authority, pair: Pair) -> None:
    for context in (server_context(pair.certificate, pair.key), client_context(ca=authority.file)):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert client_context().verify_mode is ssl.CERT_REQUIRED
    assert client_context(ca=authority.file).check_hostname
    assert client_context(verify=False).verify_mode is ssl.CERT_NONE


def test_an_authority_of_ones_own_stands_in_the_place_of_the_systems(authority: Authority) -> None:
    assert len(client_context(ca=authority.file).get_ca_certs()) == 1


def _lock(pair: Pair) -> None:
    key = serialization.load_pem_private_key(Path(pair.key).read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    Path(pair.key).write_bytes(locked)


def _loop(path: str) -> None:
    os.unlink(path)
    os.symlink(path, path)


def _folder(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


def _pipe(path: str) -> None:
    os.unlink(path)
    os.mkfifo(path)


FAULTS: list[tuple[Callable[[Authority, Pair], object], str, str]] = [
    (lambda _, pair: os.unlink(pair.certificate), "certificate", "No such file or directory"),
    (lambda _, pair: os.unlink(pair.key), "key", "No such file or directory"),
    (lambda _, pair: _folder(pair.certificate), "certificate", "Is a directory"),
    (lambda _, pair: _folder(pair.key), "key", "Is a directory"),
    (lambda _, pair: _pipe(pair.key), "key", "not a file but a pipe"),
    (lambda _, pair: _loop(pair.key), "key", "Too many levels of symbolic links"),
    (lambda _, pair: Path(pair.certificate).write_bytes(b"hello"), "certificate", "not a usable PEM file"),
    (lambda _, pair: Path(pair.certificate).write_bytes(b""), "certificate", "not a usable PEM file"),
    (lambda _, pair: Path(pair.key).write_bytes(b"\x30\x82\0"), "key", "not a usable PEM file"),
    (lambda _, pair: _lock(pair), "key", "the key is locked with a passphrase; give one without"),
    (
        lambda ca, pair: ca.write(pair, only=("certificate",)),
        "key",
        "the key does not belong to the certificate {certificate}",
    ),
    (
        lambda ca, pair: ca.write(pair, key_type=RSA, only=("certificate",)),
        "key",
        "the key does not belong to the certificate {certificate}",
    ),
]


@pytest.mark.parametrize(("spoil", "which", "message"), FAULTS)
def test_a_file_that_cannot_be_used_is_named_in_one_line(
    authority: Authority, pair: Pair, spoil: Callable[[Authority, Pair], object], which: str, message: str
) -> None:
    spoil(authority, pair)
    wanted = f"{getattr(pair, which)}: {message.format(certificate=pair.certificate)}"
    for make in (
        lambda: server_context(pair.certificate, pair.key),
        lambda: client_context(certificate=pair.certificate, key=pair.key),
    ):
        with pytest.raises(TlsFault) as fault:
            make()
        assert str(fault.value) == wanted


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_that_may_not_be_read_is_named(pair: Pair) -> None:
    os.chmod(pair.key, 0)
    with pytest.raises(TlsFault, match=r"pair\.key: Permission denied"):
        server_context(pair.certificate, pair.key)


@pytest.mark.parametrize(
    ("text", "message"), [(None, "No such file or directory"), (b"hello", "no certificates in PEM form")]
)
def test_an_authority_that_cannot_be_used_is_named(tmp_path: Path, text: bytes | None, message: str) -> None:
    if text is not None:
        (tmp_path / "ca.pem").write_bytes(text)
    with pytest.raises(TlsFault) as fault:
        client_context(ca=str(tmp_path / "ca.pem"))
    assert str(fault.value) == f"{tmp_path / 'ca.pem'}: {message}"


# -- renewal -------------------------------------------------------------------------------------------------


class Echo(asyncio.Protocol):
    """Says back what it hears."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def showing(certificate: Certificate) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=certificate.context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@LOOPS
def test_new_connections_are_shown_the_renewed_certificate_and_open_ones_go_on(
    run: Run, authority: Authority, pair: Pair
) -> None:
    async def scenario() -> None:
        certificate = Certificate(pair.certificate, pair.key)
        trusting = authority.trusting()
        async with showing(certificate) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
            before = serial(writer)
            assert certificate.poll() is None
            new = authority.write(pair)
            assert await shown(port, trusting) == before  # nobody has looked yet
            assert certificate.poll() == "renewed"
            assert certificate.poll() is None
            assert await shown(port, trusting) == _serial(new) != before
            writer.write(b"still here")
            assert await reader.readexactly(10) == b"still here"
            writer.transport.abort()

    run(scenario())


@LOOPS
def test_a_certificate_of_another_kind_of_key_leaves_nothing_of_the_old_one(
    run: Run, authority: Authority, pair: Pair
) -> None:
    async def scenario() -> None:
        certificate = Certificate(pair.certificate, pair.key)
        async with showing(certificate) as port:
            new = authority.write(pair, key_type=RSA)
            assert certificate.poll() == "renewed"
            assert await shown(port, authority.trusting()) == _serial(new)
            nameless = authority.trusting()
            nameless.check_hostname = False
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=nameless, server_hostname="")
            assert serial(writer) == _serial(new)  # and so is a caller who asks for no name
            writer.transport.abort()

    run(scenario())


@LOOPS
def test_half_a_pair_changes_nothing_is_told_once_and_taken_up_when_it_is_whole(
    run: Run, authority: Authority, pair: Pair
) -> None:
    async def scenario() -> None:
        certificate = Certificate(pair.certificate, pair.key)
        trusting = authority.trusting()
        async with showing(certificate) as port:
            before = await shown(port, trusting)
            new = authority.write(pair, only=("certificate",))
            told = certificate.poll()
            assert isinstance(told, TlsFault)
            assert "the key does not belong to the certificate" in str(told)
            assert certificate.poll() is None
            assert await shown(port, trusting) == before
            write_key(pair, new)
            assert certificate.poll() == "renewed"
            assert await shown(port, trusting) == _serial(new)

    run(scenario())


async def test_files_that_are_gone_for_a_while_change_nothing(authority: Authority, pair: Pair) -> None:
    certificate = Certificate(pair.certificate, pair.key)
    async with showing(certificate) as port:
        before = await shown(port, authority.trusting())
        os.rename(pair.key, pair.key + ".away")
        assert str(certificate.poll()) == f"{pair.key}: No such file or directory"
        os.rename(pair.key + ".away", pair.key)
        assert certificate.poll() == "renewed"
        os.unlink(pair.key)
        assert str(certificate.poll()) == f"{pair.key}: No such file or directory"  # told anew
        os.unlink(pair.certificate)
        assert str(certificate.poll()) == f"{pair.certificate}: No such file or directory"
        assert certificate.poll() is None
        assert await shown(port, authority.trusting()) == before
        new = authority.write(pair)
        assert certificate.poll() == "renewed"
        assert await shown(port, authority.trusting()) == _serial(new)


async def test_other_paths_are_taken_up_at_the_next_look(authority: Authority, pair: Pair) -> None:
    certificate = Certificate(pair.certificate, pair.key)
    other = authority.pair(into="other")
    async with showing(certificate) as port:
        before = await shown(port, authority.trusting())
        certificate.use(pair.certificate, pair.key)
        assert certificate.poll() is None
        certificate.use(other.certificate, other.key)
        assert certificate.poll() == "renewed"
        now = await shown(port, authority.trusting())
        assert now != before
        certificate.use(pair.certificate, other.key)
        assert isinstance(certificate.poll(), TlsFault)
        assert await shown(port, authority.trusting()) == now


def test_there_is_no_listener_without_a_certificate(pair: Pair) -> None:
    os.unlink(pair.key)
    with pytest.raises(TlsFault):
        Certificate(pair.certificate, pair.key)


def _serial(made: Any) -> int:
    from cryptography import x509  # noqa: PLC0415

    return x509.load_pem_x509_certificate(made.cert_chain_pems[0].bytes()).serial_number
