"""Why TLS to the broker fails, in one sentence each, with what an operator changes."""

import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final

import pika.exceptions

from orderd.amqp.endpoint import Target
from orderd.amqp.refusals import innermost
from orderd.runtime.tls import CA_FILE, CERT_FILE, KEY_FILE

# Results of a verification: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_OTHER_NAME: Final = frozenset({62, 64})
_UNKNOWN_AUTHORITY: Final = frozenset({2, 18, 19, 20, 21})

# OpenSSL's name of an error, which pika may keep only as text.
_NAME: Final = re.compile(r"\[SSL: (\w+)\]")
_ALERT: Final = re.compile(r"_ALERT_(\w+)")
_WANTS_CERTIFICATE: Final = frozenset({"CERTIFICATE_REQUIRED", "NO_CERTIFICATE"})
_REFUSES_CERTIFICATE: Final = frozenset(
    {
        "ACCESS_DENIED",
        "BAD_CERTIFICATE",
        "CERTIFICATE_EXPIRED",
        "CERTIFICATE_REVOKED",
        "CERTIFICATE_UNKNOWN",
        "DECRYPT_ERROR",
        "UNKNOWN_CA",
        "UNSUPPORTED_CERTIFICATE",
    }
)
_SET_CERTIFICATE: Final = f"set {CERT_FILE} and {KEY_FILE}"
_OLD: Final = "the server has no TLS version that orderd accepts (1.2 or 1.3): update its settings"
_CIPHERS: Final = "the server has no cipher that orderd accepts: update its settings"
_PLAIN: Final = (
    "the server does not speak TLS on this port: "
    "give the port of its TLS listener (5671 by default) in rabbitmq_url"
)
_BY_NAME: Final[Mapping[str, str]] = {
    "PROTOCOL_VERSION": _OLD,
    "UNSUPPORTED_PROTOCOL": _OLD,
    "INSUFFICIENT_SECURITY": _CIPHERS,
    "NO_SHARED_CIPHER": _CIPHERS,
    "HTTP_REQUEST": _PLAIN,
    "RECORD_LAYER_FAILURE": _PLAIN,
    "WRONG_VERSION_NUMBER": _PLAIN,
}
_ENCRYPTED: Final = "the server speaks TLS on this port: rabbitmq_url needs amqps://"

_PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
# The first byte of an alert, with which TLS answers to anything else.
_ALERT_RECORD: Final = b"\x15"
_LOOK_S: Final = 1.0


def tls_refusal(error: Any, target: Target) -> str | None:
    """Return why no connection to *target* can be made, where TLS, or want of it, is the cause.

    *error* is what pika has raised. Where the connection was closed at once, without a word that
    pika would have kept, this connects once more, and waits a second or two at most.
    """
    cause = innermost(error)
    reason = _reason(cause, target) if target.has_tls else None
    if reason is None and isinstance(cause, pika.exceptions.IncompatibleProtocolError):
        reason = _reason_at_second_look(target)
    return None if reason is None else f"TLS fails: {target.name}: {reason}"


def _reason(cause: Any, target: Target) -> str | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _of_certificate(cause, target)
    found = _NAME.search(str(cause))
    if found is None:
        return None
    alert = _ALERT.search(found[1])
    return _of_name(alert[1] if alert else found[1], target)


def _of_certificate(error: ssl.SSLCertVerificationError, target: Target) -> str:
    code, said = error.verify_code, error.verify_message.rstrip(".")
    if code in _OTHER_NAME:
        return (
            f"the server's certificate is not for {target.parameters.host}: "
            "rabbitmq_url must have a name that is in the certificate"
        )
    if code == _EXPIRED:
        return "the server's certificate has expired: renew it on the server"
    if code == _NOT_YET_VALID:
        return "the server's certificate is not yet valid: compare the clocks of both machines"
    if code in _UNKNOWN_AUTHORITY:
        advice = f"set {CA_FILE} to a file with that authority"
        if target.tls.rabbitmq_ca_file:
            advice = f"{CA_FILE} ({target.tls.rabbitmq_ca_file}) must have that authority"
        return f"the server's certificate is from an unknown authority ({said}): {advice}"
    return f"the server's certificate is refused: {said}"


def _of_name(name: str, target: Target) -> str | None:
    certificate = target.tls.rabbitmq_cert_file
    if name in _WANTS_CERTIFICATE:
        return f"the server wants a client certificate: {_SET_CERTIFICATE}"
    if name in _REFUSES_CERTIFICATE and certificate:
        said = name.lower().replace("_", " ")
        return f"the server refuses the client certificate of {CERT_FILE} ({certificate}): {said}"
    if name == "HANDSHAKE_FAILURE" and not certificate:
        # What TLS 1.2 says for want of a certificate, among others.
        return f"the server breaks off: where it wants a client certificate, {_SET_CERTIFICATE}"
    if name == "HANDSHAKE_FAILURE":
        return f"the server breaks off: it accepts no cipher, or not the certificate of {CERT_FILE}"
    return _BY_NAME.get(name)


def _reason_at_second_look(target: Target) -> str | None:
    """Return what the server says to a client that listens: with TLS an alert, else what it is."""
    parameters = target.parameters
    options = parameters.ssl_options
    try:
        with socket.create_connection((parameters.host, parameters.port), _LOOK_S) as plain:
            if options is None:
                plain.sendall(_PROTOCOL_HEADER)
                return _ENCRYPTED if plain.recv(1) == _ALERT_RECORD else None
            name = options.server_hostname or parameters.host
            with options.context.wrap_socket(plain, server_hostname=name) as secured:
                # A server that is content waits for the client to begin.
                secured.recv(1)
    except ssl.SSLError as error:
        return _reason(error, target)
    except (OSError, ValueError):
        return None
    return None
