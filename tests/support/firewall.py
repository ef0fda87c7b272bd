"""A network namespace that reaches one server on its loopback address and nothing else, for tests of mirrors.

The server stands for a mirror of what this computer's apt uses, and for a proxy that answers by itself. Its socket is
in the namespace, and the process of the test, which answers, is outside.
"""

from __future__ import annotations

import ctypes
import http.client
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from urllib.request import urlopen

CLONE_NEWNET = 0x40000000
CHUNK = 1 << 20


@dataclass
class Firewall:
    """``port`` is the server's, ``asked`` the paths that the mirror was asked for, ``through`` what the proxy was."""

    process: int
    port: int
    asked: list[str] = field(default_factory=list)
    through: list[str] = field(default_factory=list)

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command behind the firewall; ``options`` are those of subprocess.run."""
        inside = ["nsenter", f"--net=/proc/{self.process}/ns/net", *command]
        return subprocess.run(inside, capture_output=True, text=True, check=False, **options)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(
        self, *args: Any, wall: Callable[[], Firewall], upstream: Mapping[str, str | Path], **more: Any
    ) -> None:
        self.wall, self.upstream = wall, upstream
        super().__init__(*args, **more)

    def do_GET(self) -> None:
        """Answer a proxy's request with a word, and one of the mirror with what is there upstream."""
        if self.path.startswith("http://"):
            self.wall().through.append(self.path)
            self._answer(200, b"from the proxy\n")
            return
        self.wall().asked.append(self.path)
        first, _, rest = self.path.removeprefix("/").partition("/")
        source = self.upstream.get(first, "")
        if isinstance(source, Path):
            self._serve(source / unquote(rest))
            return
        try:
            with urlopen(f"{source}/{rest}") as answer:
                self.send_response(200)
                self.send_header("Content-Length", answer.headers["Content-Length"])
                self.end_headers()
                while chunk := answer.read(CHUNK):
                    self.wfile.write(chunk)
        except (KeyError, OSError, http.client.HTTPException):
            self._answer(404, b"")

    def _serve(self, path: Path) -> None:
        """Answer with a file, or list a folder as nginx does."""
        if path.is_dir():
            listing = "".join(f'<a href="{one.name}">{one.name}</a>\n' for one in sorted(path.iterdir()))
            self._answer(200, listing.encode(), "text/html")
        else:
            self._answer(200 if path.is_file() else 404, path.read_bytes() if path.is_file() else b"")

    def do_CONNECT(self) -> None:
        """Refuse tunnels, and note them."""
        self.wall().through.append(self.path)
        self._answer(403, b"")

    def _answer(self, code: int, body: bytes, kind: str = "application/octet-stream") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def _listener(process: int) -> socket.socket:
    """Return a socket that listens on the loopback address of the namespace of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: list[socket.socket] = []

    def listen() -> None:  # in a thread of its own, which stays in the namespace
        with Path(f"/proc/{process}/ns/net").open("rb") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        found.append(socket.create_server(("127.0.0.1", 0), backlog=64))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    return found[0]


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Ignore it: a client may be gone."""


@contextmanager
def firewall(upstream: Mapping[str, str | Path]) -> Iterator[Firewall]:
    """Yield a namespace whose mirror has, below ``/<name>``, what is at the address or folder ``upstream[<name>]``."""
    hold = ["unshare", "--net", "--kill-child", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"]
    with subprocess.Popen(hold, stdout=subprocess.PIPE, text=True) as held:
        try:
            assert held.stdout is not None
            assert held.stdout.readline() == "up\n"
            listener = _listener(held.pid)
            wall = Firewall(held.pid, listener.getsockname()[1])
            server = _Server(("127.0.0.1", 0), partial(_Handler, wall=lambda: wall, upstream=upstream), False)
            server.socket.close()
            server.socket = listener
            server.server_name, server.server_port = "localhost", wall.port
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield wall
            server.shutdown()
            thread.join()
            server.server_close()
        finally:
            held.kill()
