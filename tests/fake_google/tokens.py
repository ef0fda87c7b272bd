"""The token endpoint of Google's OAuth: each refresh gives a new access token, and ends the one before."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from google.oauth2.credentials import Credentials

from tests.fake_google.cloud import Cloud

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
REFRESH = "refresh-token"


class Handler(BaseHTTPRequestHandler):
    """One refresh."""

    server: TokenServer

    def log_message(self, *_args: Any) -> None:
        """Say nothing on standard error."""

    def do_POST(self) -> None:
        """Answer it."""
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = asked.get("grant_type") == ["refresh_token"] and asked.get("refresh_token") == [REFRESH]
        code, answer = self.server.issue() if good and not self.server.revoked else (400, {"error": "invalid_grant"})
        body = json.dumps(answer).encode()
        self.send_response(code)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class TokenServer(ThreadingHTTPServer):
    """Issues tokens that ``cloud`` takes, each for ``seconds``; none any more once it is ``revoked``."""

    daemon_threads = True

    def __init__(self, cloud: Cloud, seconds: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cloud = cloud
        self.seconds = seconds
        self.issued = 0
        self.revoked = False
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def issue(self) -> tuple[int, dict[str, Any]]:
        """A new token; the cloud knows no other any more."""
        self.issued += 1
        token = f"token-{self.issued}"
        self.cloud.tokens = {token: ("deploy@p.iam.gserviceaccount.com", (SCOPE,))}
        return 200, {"access_token": token, "expires_in": self.seconds, "token_type": "Bearer", "scope": SCOPE}

    def credentials(self) -> Credentials:
        """What `gcloud auth application-default login` leaves behind, pointed at this server."""
        uri = f"http://127.0.0.1:{self.server_address[1]}/token"
        made: Credentials = Credentials(  # type: ignore[no-untyped-call]
            None, refresh_token=REFRESH, token_uri=uri, client_id="c", client_secret="s", scopes=[SCOPE]
        )
        return made


@contextlib.contextmanager
def issuing(cloud: Cloud, seconds: int) -> Iterator[TokenServer]:
    """A token server for the block."""
    server = TokenServer(cloud, seconds)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
