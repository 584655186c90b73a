"""One look at all metrics: what daemons have written, and live figures of its servers."""

from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Final

from orderd.ctl.console import Console
from orderd.ctl.errors import Failure
from orderd.ctl.live_metrics import LiveMetrics
from orderd.ctl.metric_texts import joined
from orderd.runtime.paths import METRICS_FILE, NOTIFY_RUNTIME_DIRECTORY
from orderd.runtime.prometheus import rendered

if TYPE_CHECKING:
    from orderd.config.settings import Settings

PATH: Final = "/metrics"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Scrape = Callable[[], tuple[str, Sequence[Failure]]]


def scrape_of(settings: "Settings", paths: Sequence[str]) -> Scrape:
    """Return what looks at all metrics: that could be had, and why others could not.

    *paths* are the metrics files of daemons; without any, they are that of the settings and that of
    the orderd-notify of this machine, where it is there.
    """
    live = LiveMetrics(settings)

    def scrape() -> tuple[str, Sequence[Failure]]:
        written: list[str] = []
        failures: list[Failure] = []
        for path in paths or _files_of(settings):
            try:
                written.append(_read(path))
            except Failure as failure:
                failures.append(failure)
        samples, missing = live.look()
        text = rendered(settings.instance_name, samples).decode()
        return joined(written) + text, [*failures, *missing]

    return scrape


def _files_of(settings: "Settings") -> Sequence[str]:
    """Return the file of the settings, which may be empty for none, and that of orderd-notify."""
    own, other = settings.metrics_file, f"{NOTIFY_RUNTIME_DIRECTORY}/{METRICS_FILE}"
    if other == own or not Path(other).exists():
        return [own]
    return [own, other] if own else [other]


def serve(address: tuple[str, int], look: Scrape, console: Console) -> None:
    """Serve what *look* finds at *address*, until interrupted; raises Failure."""
    try:
        server = _server(address)(address, _handler(look, console))
    except OSError as error:
        raise Failure(f"cannot listen on {address[0]}:{address[1]}: {error.strerror}") from error
    with server:
        host, port = server.server_address[:2]
        console.note(f"serving http://{_in_url(str(host))}:{port}{PATH}")
        server.serve_forever()


def _read(path: str) -> str:
    if not path:
        raise Failure("metrics_file is not set: no metrics of a daemon")
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
        raise Failure(f"{path}: {why}; no metrics of a daemon") from error


def _server(address: tuple[str, int]) -> type[HTTPServer]:
    family = AF_INET6 if ":" in address[0] else AF_INET
    return type("Server", (HTTPServer,), {"address_family": family})


def _handler(look: Scrape, console: Console) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "orderctl"
        sys_version = ""
        # One at a time: what limits the waiting for a server is a signal, for the main thread only.
        timeout = 5.0

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != PATH:
                self.send_error(404, explain=f"metrics are at {PATH}")
                return
            text, failures = look()
            for failure in failures:
                console.complain(str(failure))
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing of scrapes that went well."""

    return Handler


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
