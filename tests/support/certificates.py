"""Certificates for the servers of tests, made by openssl: each is its own authority."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

NEEDS_OPENSSL = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificate"
)


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate and its key; who trusts the former trusts the server."""

    path: Path
    key: Path

    @classmethod
    def made(cls, directory: Path, names: str) -> Self:
        """Make one for *names*, such as "DNS:localhost,IP:127.0.0.1"."""
        directory.mkdir(exist_ok=True)
        one = cls(directory / "certificate.pem", directory / "key.pem")
        subprocess.run(
            [
                *[
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                ],
                *("-days", "1", "-subj", "/CN=test", "-addext", f"subjectAltName={names}"),
                *("-keyout", one.key, "-out", one.path),
            ],
            check=True,
            capture_output=True,
        )
        return one

    def context(self) -> ssl.SSLContext:
        """Return what a server with the certificate uses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        return context
