"""Connections of a single thread: every wait runs keep-alive work and ends at a deadline.

The sockets never block; what would is waited for in slices, so that smtplib and http.client can
use them as they use any other.
"""

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from ipaddress import ip_address
from threading import Thread
from typing import Any, Final

from orderd.notify.addresses import ascii_host

SLICE_S: Final = 0.5
LOOKUP_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 1 << 16

SocketAddress = tuple[socket.AddressFamily, Any]


class Patience:
    """How long a connection may wait, for all of a message and for each of its steps.

    *keep_alive* runs at least once a second while there is anything to wait for. What it raises
    leaves the wait.
    """

    def __init__(self, keep_alive: Callable[[], None]) -> None:
        self._keep_alive = keep_alive
        self._kept_alive_s = self._end_s = self._step_end_s = time.monotonic()
        self._bytes_left = 0

    def begin(self, total_s: float) -> None:
        """Allow so many seconds from now on, in all."""
        self._end_s = time.monotonic() + total_s
        self.step(total_s)

    def step(self, step_s: float) -> None:
        """Allow the next step so many seconds of them, and an answer of limited size."""
        self._step_end_s = min(self._end_s, time.monotonic() + step_s)
        self._bytes_left = ANSWER_BYTES_MAX

    @property
    def left_s(self) -> float:
        """How long the step may still take, in seconds."""
        return max(0.0, self._step_end_s - time.monotonic())

    def wait(self, ready: Callable[[float], object]) -> None:
        """Wait until *ready*, given the seconds to wait, is true; raise TimeoutError."""
        while True:
            self.go_on()
            if ready(min(SLICE_S, self.left_s)):
                return

    def go_on(self) -> None:
        """Do keep-alive work where it is due; raise TimeoutError where the time is over."""
        now_s = time.monotonic()
        if now_s - self._kept_alive_s >= SLICE_S:
            self._keep_alive()
            self._kept_alive_s = time.monotonic()
        if now_s >= self._step_end_s:
            raise TimeoutError(errno.ETIMEDOUT, "no answer in time")

    def received(self, count: int) -> int:
        """Take note of received bytes: also a server that never stops sending comes to an end."""
        self.go_on()
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise OSError(errno.EMSGSIZE, f"answer of over {ANSWER_BYTES_MAX} bytes")
        return count


class PatientSocket(socket.socket):
    """A socket that waits as its `patience` says."""

    patience: Patience

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Return how many bytes were received, 0 at the end; raise OSError."""
        while True:
            try:
                return self.patience.received(super().recv_into(buffer, nbytes, flags))
            except BlockingIOError:
                _await(self, select.POLLIN, self.patience)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it; raise OSError."""
        left = memoryview(data).cast("B")
        while left:
            try:
                left = left[super().send(left, flags) :]
            except BlockingIOError:
                _await(self, select.POLLOUT, self.patience)


class PatientTlsSocket(ssl.SSLSocket):
    """The same under TLS, made by `secured`."""

    patience: Patience

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Return how many bytes were received, 0 at the end; raise OSError."""
        receive = super().recv_into
        return self.patience.received(self._awaited(lambda: receive(buffer, nbytes, flags)))

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it; raise OSError."""
        send = super().send
        left = memoryview(data).cast("B")
        while left:
            left = left[self._awaited(lambda part=left: send(part, flags)) :]  # type: ignore[misc]

    def shake_hands(self) -> None:
        """Agree on keys, and check the certificate; raise OSError."""
        self._awaited(self.do_handshake)

    def _awaited(self, attempt: Callable[[], Any]) -> Any:
        """Return what the attempt does, made again and again until it need not wait."""
        while True:
            try:
                return attempt()
            except ssl.SSLWantReadError:
                _await(self, select.POLLIN, self.patience)
            except ssl.SSLWantWriteError:
                _await(self, select.POLLOUT, self.patience)


def tls_context() -> ssl.SSLContext:
    """Return how servers are checked: TLS 1.2 and up, host names, authorities of the system."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = PatientTlsSocket
    return context


def dial(host: str, port: int, patience: Patience) -> PatientSocket:
    """Return a connection to the first of the host's addresses that has one.

    Raises OSError, and ValueError where *host* can be no name.
    """
    addresses = _looked_up(ascii_host(host), port, patience)
    for position, address in enumerate(addresses):
        # An address that does not answer leaves time for those behind it.
        share_s = patience.left_s / (len(addresses) - position)
        try:
            return _connected(address, patience, time.monotonic() + share_s)
        except OSError:
            if position + 1 == len(addresses) or patience.left_s == 0:
                raise
    raise OSError(errno.EADDRNOTAVAIL, "no address")


def secured(sock: PatientSocket, host: str, context: ssl.SSLContext) -> PatientTlsSocket:
    """Return *sock* under TLS with a certificate that names *host*; raise OSError."""
    tls = context.wrap_socket(sock, server_hostname=ascii_host(host), do_handshake_on_connect=False)
    assert isinstance(tls, PatientTlsSocket)  # noqa: S101 - as its context says
    tls.patience = sock.patience
    try:
        tls.shake_hands()
    except BaseException:
        tls.close()
        raise
    return tls


def reason_of(fault: BaseException) -> str:
    """Return in a few words why a connection failed."""
    match fault:
        case ssl.SSLCertVerificationError():
            return f"certificate does not verify: {fault.verify_message}"
        case ssl.SSLError():
            return f"TLS fails: {fault.reason or fault}"
        case OSError() if fault.strerror:
            return fault.strerror[:1].lower() + fault.strerror[1:]
        case _:
            return str(fault) or type(fault).__name__


def _looked_up(host: str, port: int, patience: Patience) -> list[SocketAddress]:
    """Return the addresses of the host; a resolver that hangs is left behind in its thread."""
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        return _addresses(host, port, socket.AI_NUMERICHOST)
    found: list[list[SocketAddress] | OSError] = []

    def look_up() -> None:
        try:
            found.append(_addresses(host, port, 0))
        except OSError as fault:
            found.append(fault)
        except UnicodeError:
            found.append(OSError(errno.EINVAL, f"{host} is no name of a host"))

    thread = Thread(target=look_up, daemon=True, name="look-up")
    _begin(thread)
    until_s = time.monotonic() + LOOKUP_S

    def is_over(slice_s: float) -> bool:
        thread.join(slice_s)
        return not thread.is_alive() or time.monotonic() >= until_s

    patience.wait(is_over)
    result = found[0] if found else TimeoutError(errno.ETIMEDOUT, f"name not resolved: {host}")
    if isinstance(result, OSError):
        raise result
    return result


def _begin(thread: Thread) -> None:
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "no thread for the look-up of a name") from error


def _addresses(host: str, port: int, flags: int) -> list[SocketAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _connected(address: SocketAddress, patience: Patience, until_s: float) -> PatientSocket:
    sock = PatientSocket(address[0], socket.SOCK_STREAM)
    try:
        sock.patience = patience
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        status = sock.connect_ex(address[1])
        if status == errno.EINPROGRESS:
            _await(sock, select.POLLOUT, patience, until_s)
            status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    except BaseException:
        sock.close()
        raise
    if status:
        sock.close()
        raise OSError(status, os.strerror(status))
    return sock


def _await(
    sock: socket.socket, event: int, patience: Patience, until_s: float = float("inf")
) -> None:
    poll = select.poll()
    poll.register(sock, event)

    def is_ready(slice_s: float) -> bool:
        if time.monotonic() >= until_s:
            raise TimeoutError(errno.ETIMEDOUT, "no answer in time")
        return bool(poll.poll(min(slice_s, until_s - time.monotonic()) * 1_000))

    patience.wait(is_ready)
