"""routes.yaml as the running program takes it: read, and the files that it names looked at."""

from __future__ import annotations

from pathlib import Path

from strangler.cutover import read_table
from strangler.http.tls import TlsFault, client_context, server_context
from strangler.routes import Fault, Faults, Table


def load_table(path: Path) -> tuple[Table, bytes]:
    """The table of the file and its bytes. Raises Faults, also for TLS files that cannot be used."""
    table, data = read_table(path)
    if faults := tls_faults(table):
        raise Faults(str(path), faults)
    return table, data


def tls_faults(table: Table) -> list[Fault]:
    """What is wrong with the certificates and keys that a table names, at the lines that name them."""
    faults = []
    if table.tls is not None:
        try:
            server_context(table.tls.certificate, table.tls.key)
        except TlsFault as fault:
            faults.append(Fault(table.tls.line, 1, f"tls: {fault}"))
    for upstream in table.upstreams.values():
        tls = upstream.tls
        if tls is None or (tls.ca is None and tls.certificate is None):
            continue  # no file is named
        try:
            client_context(ca=tls.ca, certificate=tls.certificate, key=tls.key, verify=tls.verify)
        except TlsFault as fault:
            faults.append(Fault(tls.line, 1, f"upstream {upstream.name}: tls: {fault}"))
    return faults
