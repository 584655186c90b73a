"""Tells an address that the units' filter refuses from a server that does not answer.

The filter of systemd's IPAddressDeny= drops what is sent, so a connection merely times out. For a
datagram the kernel says at once that it was refused.
"""

import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_ADDRESS: Final = re.compile(
    r"(?<![\w.:])(\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]+)(?![\w.])"
)
_NAME_SERVER: Final = re.compile(r"(?m)^\s*nameserver\s+(\S+)")
_RESOLV_CONF: Final = "/etc/resolv.conf"
_LOOK_UP: Final = ("name resolution", "Name or service not known", "translate host name")
_TIME_OUT: Final = ("timed out", "timeout expired", "Operation not permitted", "no answer in")
_DISCARD_PORT: Final = 9
# Set by systemd for what it has started; elsewhere there is no such filter.
_OF_SYSTEMD: Final = "INVOCATION_ID"


def explained(text: str) -> str:
    """Return *text*, why a connection failed, and what an operator changes where the filter did."""
    if _OF_SYSTEMD not in os.environ:
        return text
    if any(words in text for words in _LOOK_UP):
        addresses = _name_servers()
    elif any(words in text for words in _TIME_OUT):
        addresses = _ADDRESS.findall(text)
    else:
        return text
    refused = [address for address in dict.fromkeys(addresses) if _is_refused(address)]
    if not refused:
        return text
    return f"{text}; the sandbox refuses {', '.join(refused)}: add IPAddressAllow= to orderd.slice"


def _name_servers() -> Iterable[str]:
    try:
        return _NAME_SERVER.findall(Path(_RESOLV_CONF).read_text())
    except (OSError, ValueError):
        return ()


def _is_refused(address: str) -> bool:
    """Return whether the kernel lets nothing out to the address; sends an empty datagram."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            probe.connect((address, _DISCARD_PORT))
            probe.send(b"")
    except PermissionError:
        return True
    except OSError:
        return False
    return False
