"""The HTTP side of the fake: loopback only, one port for all services."""

from __future__ import annotations

import contextlib
import email.parser
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from bakery.library.compute_engine import events
from tests.fake_google import (  # noqa: F401  they register their handlers
    builds,
    bulk,
    compute,
    crud,
    data,
    federation,
    identity,
    permissions,
    quotas,
    refusals,
    roles,
    versions,
)
from tests.fake_google.cloud import Answer, Cloud, Fault, Refusal, Request
from tests.fake_google.discovery import find


def multipart(body: bytes, content_type: str) -> tuple[Any, bytes, str]:
    """The two parts of a multipart/related upload: metadata and content."""
    message = email.parser.BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    meta, content = message.get_payload()  # type: ignore[misc]
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    assert boundary is not None
    # The email parser changes line ends, so the content is cut out of the raw body.
    raw = body.split(b"--" + boundary[1].encode())[2].partition(b"\r\n\r\n")[2]
    return json.loads(meta.get_payload()), raw.removesuffix(b"\r\n"), content.get_content_type()  # type: ignore[union-attr]


class Handler(BaseHTTPRequestHandler):
    """One request; the server carries the cloud."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one go: else each answer waits 40 ms for the client's delayed ACK
    disable_nagle_algorithm = True
    server: FakeServer

    def log_message(self, *_args: Any) -> None:
        """Say nothing on standard error."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        raw = self._body()
        call = find(self.command, re.sub("/{2,}", "/", parts.path).rstrip("/"))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if call is None:
            self.server.cloud.violations.append(f"no published method: {self.command} {parts.path}")
            raise Refusal(404, f"no published method: {self.command} {parts.path}")
        query = {call.method.parameter(name): value for name, value in query.items()}
        kind = self.headers.get("Content-Type", "")
        media, media_type, body = b"", "", None
        if call.is_upload and kind.startswith("multipart/"):
            body, media, media_type = multipart(raw, kind)
        elif call.is_upload and query.get("uploadType") == "media":
            body, media, media_type = {"name": query.get("name")}, raw, kind
        elif call.is_upload and self.command == "PUT":
            media = raw
        elif raw:
            body = json.loads(raw)
        base = f"http://{self.headers.get('Host', '')}"
        return Request(call, query, body, media, media_type, {k.lower(): v for k, v in self.headers.items()}, base)

    def _serve(self) -> None:
        upload = re.match(r"/resumable/([^/?]+)", self.path)
        fault: Fault | None = None
        product = "storage" if upload else ""
        try:
            if upload:
                answer = data.resume(self.server.cloud, unquote(upload[1]), self._body(), dict(self.headers.items()))
            else:
                request = self._request()
                product = request.call.method.product
                fault = self.server.cloud.fault(request.id)
                if fault:
                    time.sleep(fault.delay)
                    if fault.code:
                        self.server.cloud.calls.append((time.time(), request.id, request.call.path))
                        raise Refusal(fault.code, f"injected {fault.code} {fault.reason}".strip(), fault.reason)
                with self.server.cloud.lock:  # other requests add resources meanwhile
                    refused = permissions.missing(self.server.cloud, request)
                    if refused and not permissions.done_without(self.server.cloud, request):
                        self.server.cloud.violations += [f"{request.id} {text}" for text in refused]
                if refused:
                    raise Refusal(403, "; ".join(refused))
                answer = self.server.cloud.answer(request)
        except Refusal as refusal:
            headers = {"Retry-After": "0"} if refusal.code in (429, 503) else {}
            answer = Answer(refusal.body(product), refusal.code, headers)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.server.cloud.violations.append(f"{self.command} {self.path}: {error!r}")
            answer = Answer(Refusal(400, f"the fake could not read this request: {error!r}").body(), 400)
        self._send(answer, half=fault is not None and fault.half)

    def _send(self, answer: Answer, half: bool) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        if answer.code == 204:
            body = b""
        self.send_response(answer.code)
        if not isinstance(answer.body, bytes):
            self.send_header("Content-Type", "application/json; charset=UTF-8")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if half:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_CONNECT(self) -> None:
        """Somebody takes this server for the way out to another host: note which, and let nobody out."""
        self._body()
        self.server.cloud.strays.append(self.path)
        self._send(Answer({"error": "there is no way out"}, 403), half=False)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve


class FakeServer(ThreadingHTTPServer):
    """The server; ``cloud`` is its state."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cloud = cloud

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; any other error is one of this server."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            self.cloud.violations.append(f"the fake failed: {error!r}")


@contextlib.contextmanager
def serve(cloud: Cloud | None = None) -> Iterator[FakeServer]:
    """A running fake Google Cloud; give it a Cloud to keep its state over a restart."""
    server = FakeServer(cloud or Cloud())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        events.flush()  # else this process's clients go on trying to send them to a server that is gone
        server.shutdown()
        server.server_close()
        thread.join()
