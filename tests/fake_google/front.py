"""The fake as programs of Google's see it that know no other address: https on googleapis.com, discovery, batches.

Programs in a machine ask ``compute.googleapis.com``, whose name leads here; what they ask goes on to the fake's own
port. What that one has no method for is answered here: the discovery document, which older clients fetch, and a batch,
whose parts are requests of their own. Source: https://cloud.google.com/compute/docs/api/how-tos/batch, 2026-12-01.
"""

from __future__ import annotations

import email.parser
import http.client
import re
import ssl
import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.fake_google.discovery import DOCUMENTS

NAMES = ("compute.googleapis.com", "www.googleapis.com", "oauth2.googleapis.com", "storage.googleapis.com")
DOCUMENT = re.compile(r"/discovery/v1/apis/(\w+)/(\w+)/rest|/\$discovery/rest\?version=(\w+)")
HOP = ("connection", "content-length", "host", "keep-alive", "transfer-encoding")
BOUNDARY = "batch_of_the_fake"
Answer = tuple[int, Mapping[str, str], bytes]


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key and a certificate for :data:`NAMES` that signs itself; return both files."""
    key, made = folder / "front.key", folder / "front.crt"
    names = ",".join(f"DNS:{name}" for name in NAMES)
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=fake Google"]
    words += ["-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(made)]
    subprocess.run(words, check=True, capture_output=True)
    return key, made


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: Front

    def log_message(self, *_args: Any) -> None:
        """Say nothing on standard error."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if found := DOCUMENT.fullmatch(self.path):
            code, headers, text = self.server.document(
                found[1] or self.headers["Host"].partition(".")[0], found[2] or found[3]
            )
        elif self.path.startswith("/batch"):
            code, headers, text = self.server.batch(self.headers["Content-Type"], dict(self.headers), body)
        else:
            code, headers, text = self.server.forward(self.command, self.path, dict(self.headers), body)
        self.send_response(code)
        for name, value in headers.items():
            if name.lower() not in HOP and name.lower() not in ("server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve


class Front(ThreadingHTTPServer):
    """Serves https on the loopback device from a thread of its own; ``port`` is the fake's."""

    daemon_threads = True

    def __init__(self, port: int, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fake = port
        key, made = certificate(folder)
        self.certificate = made
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made, key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""

    def document(self, service: str, version: str) -> Answer:
        """The discovery document of an API."""
        file = DOCUMENTS / f"{service}.{version}.json"
        found = re.fullmatch(r"[\w.]+", file.name) is not None and file.is_file()
        return (200, {"Content-Type": "application/json"}, file.read_bytes()) if found else (404, {}, b"{}")

    def forward(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Ask the fake, as the host that was asked."""
        connection = http.client.HTTPConnection("127.0.0.1", self.fake, timeout=60)
        kept = {name: value for name, value in headers.items() if name.lower() not in HOP}
        kept["Host"] = headers.get("Host", NAMES[0])
        connection.request(method, path, body or None, kept)
        with connection.getresponse() as answer:
            return answer.status, dict(answer.getheaders()), answer.read()

    def batch(self, kind: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Ask the fake for each part, with what the head of the batch says if the part does not."""
        common = {name: headers[name] for name in ("Authorization", "authorization", "Host") if name in headers}
        message = email.parser.BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        parts = []
        for part in message.get_payload():
            head, _, content = part.get_payload().replace("\r\n", "\n").partition("\n\n")  # type: ignore[union-attr]
            line, *rest = head.split("\n")
            method, path, _ = line.split(" ", 2)
            own = dict(field.split(": ", 1) for field in rest if field)
            code, fields, text = self.forward(method, path, {**common, **own}, content.strip().encode())
            reply = f"response-{part['Content-ID'].strip('<>')}"  # type: ignore[index]
            content_type = fields.get("Content-Type", "application/json")
            parts.append(
                f"--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <{reply}>\r\n\r\n"
                f"HTTP/1.1 {code} -\r\nContent-Type: {content_type}\r\nContent-Length: {len(text)}\r\n\r\n"
                f"{text.decode()}\r\n"
            )
        answer = "".join(parts) + f"--{BOUNDARY}--\r\n"
        return 200, {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"}, answer.encode()

    def stop(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()
