"""TLS of a client: how RabbitMQ is trusted, and by which certificate orderd shows who it is."""

import os
import re
import ssl
from collections.abc import Mapping
from stat import S_ISREG
from typing import Final

from orderd.protocol.values import value

CA_FILE: Final = "rabbitmq_ca_file"
CERT_FILE: Final = "rabbitmq_cert_file"
KEY_FILE: Final = "rabbitmq_key_file"
_BYTES_MAX: Final = 1 << 20
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_KEY: Final = re.compile(rb"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----")


@value
class TlsFiles:
    """The paths that the settings of the same names give; empty where they give none."""

    rabbitmq_ca_file: str = ""
    rabbitmq_cert_file: str = ""
    rabbitmq_key_file: str = ""

    @property
    def given(self) -> Mapping[str, str]:
        """The paths that are given, by the name of their setting."""
        paths = {
            CA_FILE: self.rabbitmq_ca_file,
            CERT_FILE: self.rabbitmq_cert_file,
            KEY_FILE: self.rabbitmq_key_file,
        }
        return {setting: path for setting, path in paths.items() if path}


class UnusableFile(ValueError):
    """A file cannot be used: *setting* names it, *reason* says why, without its content."""

    def __init__(self, setting: str, path: str, reason: str) -> None:
        super().__init__(f"{setting} = '{path}': {reason}")
        self.setting = setting
        self.path = path
        self.reason = reason


class _EncryptedKey(Exception):
    """The key has a passphrase, for which nobody can be asked."""


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return how a server is checked: TLS 1.2 and up, its name, the CA file or the system's.

    The files are read now. Raises UnusableFile.
    """
    contents = {setting: _read(setting, path) for setting, path in files.given.items()}
    context = ssl.create_default_context(cadata=_authorities(files, contents))
    restrict(context)
    if files.rabbitmq_cert_file:
        _load_certificate(context, files, contents)
    return context


def restrict(context: ssl.SSLContext) -> None:
    """Let *context* accept no server without a valid certificate for its name, and TLS 1.2."""
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)


def _authorities(files: TlsFiles, contents: Mapping[str, bytes]) -> str | None:
    """Return the certificates of the CA file, None where the system's are to be used."""
    if CA_FILE not in contents:
        return None
    if _CERTIFICATE not in contents[CA_FILE]:
        raise UnusableFile(CA_FILE, files.rabbitmq_ca_file, "has no certificate in PEM")
    if not _is_whole(contents[CA_FILE]):
        raise UnusableFile(CA_FILE, files.rabbitmq_ca_file, "has a certificate that is damaged")
    return _text(contents[CA_FILE])


def _load_certificate(
    context: ssl.SSLContext, files: TlsFiles, contents: Mapping[str, bytes]
) -> None:
    certificate, key = files.rabbitmq_cert_file, files.rabbitmq_key_file
    if _CERTIFICATE not in contents[CERT_FILE]:
        raise UnusableFile(CERT_FILE, certificate, "has no certificate in PEM")
    if _KEY.search(contents.get(KEY_FILE, b"")) is None:
        raise UnusableFile(KEY_FILE, key, "has no private key in PEM")
    try:
        context.load_cert_chain(certificate, key, _no_passphrase)
    except _EncryptedKey:
        reason = "has a key with a passphrase; orderd needs one without"
        raise UnusableFile(KEY_FILE, key, reason) from None
    except (OSError, ValueError) as error:
        # The text of OpenSSL does not say which of both files is meant.
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            reason = f"is not the key of the certificate in {CERT_FILE}"
            raise UnusableFile(KEY_FILE, key, reason) from None
        if not _is_whole(contents[CERT_FILE]):
            reason = "has a certificate that is damaged"
            raise UnusableFile(CERT_FILE, certificate, reason) from None
        raise UnusableFile(KEY_FILE, key, "has a private key that is damaged") from None


def _is_whole(content: bytes) -> bool:
    """Return whether each certificate in it can be read."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=_text(content))
    except ssl.SSLError:
        return False
    return True


def _text(content: bytes) -> str:
    # Between certificates may stand their names, in any encoding.
    return content.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")


def _no_passphrase() -> str:
    raise _EncryptedKey


def _read(setting: str, path: str) -> bytes:
    """Return what the file holds; a FIFO is not waited for. Raises UnusableFile."""
    try:
        if not S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (raises the same)
            raise UnusableFile(setting, path, "is not a regular file")
        with open(path, "rb") as stream:  # noqa: PTH123 (likewise)
            content = stream.read(_BYTES_MAX + 1)
    except OSError as error:
        raise UnusableFile(setting, path, f"cannot be read: {error.strerror}") from None
    if len(content) > _BYTES_MAX:
        raise UnusableFile(setting, path, "is over 1 MiB")
    return content
