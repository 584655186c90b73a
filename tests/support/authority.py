"""A certification authority for tests: certificates as a server or a client has them."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HERE: Final = ("localhost", "127.0.0.1")
_DAY: Final = timedelta(days=1)
_PEM: Final = serialization.Encoding.PEM
_KEY_FORMAT: Final = serialization.PrivateFormat.PKCS8
_USAGES: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class KeyPair:
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path

    def replace_by(self, other: "KeyPair") -> None:
        """Put another certificate and its key into these files, as a renewal does."""
        self.certificate.write_bytes(other.certificate.read_bytes())
        self.key.write_bytes(other.key.read_bytes())


class Authority:
    """Issues certificates into *directory*; who trusts the file `certificate` trusts them."""

    def __init__(self, directory: Path, name: str = "test authority") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = directory / "ca.pem"
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        own = (
            self._builder(name, self._key, (-_DAY, _DAY))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        signed = own.sign(self._key, hashes.SHA256())
        self.certificate.write_bytes(signed.public_bytes(_PEM))

    def issue(
        self,
        file_name: str,
        names: Sequence[str] = HERE,
        *,
        subject: str = "orderd",
        valid: tuple[timedelta, timedelta] = (-_DAY, _DAY),
    ) -> KeyPair:
        """Return a certificate for the host *names*, *valid* from and until so far from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = (
            self._builder(subject, key, valid)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_USAGES), critical=False)
            .add_extension(alternatives, critical=False)
        )
        pair = KeyPair(
            self._directory / f"{file_name}.pem", self._directory / f"{file_name}.key.pem"
        )
        pair.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM))
        pair.key.write_bytes(key.private_bytes(_PEM, _KEY_FORMAT, serialization.NoEncryption()))
        pair.key.chmod(0o600)
        return pair

    def expired(self, file_name: str = "expired") -> KeyPair:
        """Return a certificate that was valid until an hour ago."""
        return self.issue(file_name, valid=(-_DAY, timedelta(hours=-1)))

    def not_yet_valid(self, file_name: str = "early") -> KeyPair:
        """Return a certificate that becomes valid in an hour."""
        return self.issue(file_name, valid=(timedelta(hours=1), _DAY))

    def _builder(
        self, subject: str, key: ec.EllipticCurvePrivateKey, valid: tuple[timedelta, timedelta]
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + valid[0])
            .not_valid_after(now + valid[1])
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
