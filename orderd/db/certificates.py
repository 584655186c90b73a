"""Why a server's certificate is refused, which libpq does not say: it is looked at once more."""

import os
import socket
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

VERIFY_FAILED: Final = "certificate verify failed"
_PORT: Final = 5432
# How a client asks for TLS: https://www.postgresql.org/docs/current/protocol-message-formats.html
_REQUEST: Final = struct.pack(">II", 8, 80_877_103)
_ACCEPTED: Final = b"S"
_TIMEOUT_S: Final = 2.0
_SYSTEM: Final = "system"


def reason_of_refusal(parameters: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the certificate of the host in *parameters* of a connection.

    None where that cannot be found out within a few seconds, or there are several hosts.
    """
    host = str(parameters.get("hostaddr") or parameters.get("host") or os.environ.get("PGHOST", ""))
    port = str(parameters.get("port") or os.environ.get("PGPORT") or _PORT)
    authority = str(parameters.get("sslrootcert") or os.environ.get("PGSSLROOTCERT") or "")
    try:
        context = ssl.create_default_context(cafile=_file(authority))
        # Names are compared by libpq, which says so.
        context.check_hostname = False
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as plain:
            plain.sendall(_REQUEST)
            if plain.recv(1) != _ACCEPTED:
                return None
            context.wrap_socket(plain).close()
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message)
    except (OSError, ValueError):
        return None
    return None


def _file(authority: str) -> str | None:
    """Return the file of the authorities, as libpq finds it; None for those of the system."""
    if authority == _SYSTEM:
        return None
    return authority or str(Path.home() / ".postgresql" / "root.crt")
