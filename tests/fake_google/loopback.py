"""A small HTTP server of its own on the loopback device, for what is asked beside the published APIs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """One question; a subclass answers it with :meth:`send`."""

    def log_message(self, *_args: Any) -> None:
        """Say nothing on standard error."""

    def send(self, code: int, text: str, headers: Mapping[str, str]) -> None:
        """The whole answer."""
        body = text.encode()
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Loopback(ThreadingHTTPServer):
    """Serves from a thread of its own until it is stopped."""

    daemon_threads = True

    def __init__(self, handler: type[Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens on the loopback device."""
        return int(self.server_address[1])

    def stop(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()
