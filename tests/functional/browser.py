"""Chromium without a window, and the server of the pages that it opens: what a page finds out, it posts to /report."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Self

from .node_process import STOP_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 40
NAMES = ("chromium-headless-shell", "chromium")
"""Packages of Debian: the first has no windows at all, is smaller and starts sooner; it plays the same films."""
FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--no-first-run",
    "--disable-breakpad",
    # Nothing outside this machine is asked, neither by a page nor by the browser itself.
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


def find_browser() -> str | None:
    """The first that is there; of it, what its command starts: the command itself would not pass a signal on."""
    return shutil.which(NAMES[0], path="/usr/lib/chromium") or shutil.which(NAMES[1])


class PageServer:
    """`pages` by path, each with its type; they may be set while it serves. Its port belongs to two origins."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.reports: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def origin(self, host: str = "localhost") -> str:
        return f"http://{host}:{self._server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages, reports = self.pages, self.reports

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = pages.get(self.path)
                kind, body = found or ("text/plain", b"")
                self._answer(404 if found is None else 200, kind, body)

            def do_POST(self) -> None:
                reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(200, "text/plain", b"")

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


def visit(server: PageServer, url: str, folder: Path) -> dict[str, Any]:
    """Open a page in a browser that knows nothing, and wait for its report; then end the browser."""
    while not server.reports.empty():
        server.reports.get()  # of a page before, which had more to say
    errors = folder / "browser.err"
    with _browsing(url, mkdtemp(prefix="profile-", dir=folder), errors) as process:
        deadline = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline:
            try:
                return server.reports.get(timeout=0.2)
            except queue.Empty:
                continue
    raise AssertionError(f"no report from {url}:\n{errors.read_text(errors='replace')[-2000:]}")


@contextmanager
def _browsing(url: str, profile: str, errors: Path) -> Iterator[subprocess.Popen[bytes]]:
    browser = find_browser()
    assert browser is not None
    # Its sandbox does not work for root, who runs tests in containers.
    unboxed = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [browser, *FLAGS, *unboxed, f"--user-data-dir={profile}", url]
    with errors.open("wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=err, stderr=err, start_new_session=True)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the browser to end, which ends what it has started; then end what is left of its process group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_S)
