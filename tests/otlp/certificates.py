"""Certificates made for one test: an authority, servers and clients of it, as PEM files."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


class Authority:
    """A certificate authority whose files lie in ``folder``."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._ca = trustme.CA(organization_name=name)
        self._folder = folder
        self.ca_file = str(folder / f"{name}.pem")
        self._ca.cert_pem.write_to_path(self.ca_file)

    def issue(self, name: str, *hosts: str) -> tuple[str, str]:
        """Write certificate and key for ``hosts`` and return their paths; again is to renew."""
        issued = self._ca.issue_cert(*(hosts or ("localhost", "127.0.0.1")))
        cert_file, key_file = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
        cert_file.write_bytes(chain)
        key_file.write_bytes(issued.private_key_pem.bytes())
        return str(cert_file), str(key_file)

    def client_context(self, cert_file: str = "", key_file: str = "") -> ssl.SSLContext:
        """Return a context that trusts this authority, with a certificate of its own or none."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if cert_file:
            context.load_cert_chain(cert_file, key_file)
        return context

    def server_context(
        self, name: str = "upstream", *, asks_clients: bool = False
    ) -> ssl.SSLContext:
        """Return the context of a server of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name))
        if asks_clients:
            context.load_verify_locations(self.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
