"""The token endpoint of Google's OAuth: each refresh gives a new access token, and ends the one before."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from google.oauth2.credentials import Credentials

from tests.fake_google import loopback
from tests.fake_google.cloud import Cloud

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
REFRESH = "refresh-token"


class Handler(loopback.Handler):
    """One refresh."""

    server: TokenServer

    def do_POST(self) -> None:
        """Answer it."""
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = asked.get("grant_type") == ["refresh_token"] and asked.get("refresh_token") == [REFRESH]
        code, answer = self.server.issue() if good and not self.server.revoked else (400, {"error": "invalid_grant"})
        self.send(code, json.dumps(answer), {"Content-Type": "application/json"})


class TokenServer(loopback.Loopback):
    """Issues tokens that ``cloud`` takes, each for ``seconds``; none any more once it is ``revoked``."""

    def __init__(self, cloud: Cloud, seconds: int) -> None:
        self.cloud = cloud
        self.seconds = seconds
        self.issued = 0
        self.revoked = False
        self.more: dict[str, str] = {}  # of each answer, as an ID token
        super().__init__(Handler)

    def issue(self) -> tuple[int, dict[str, Any]]:
        """A new token; the cloud knows no other any more."""
        self.issued += 1
        token = f"token-{self.issued}"
        self.cloud.tokens = {token: ("deploy@p.iam.gserviceaccount.com", (SCOPE,))}
        own = {"access_token": token, "expires_in": self.seconds, "token_type": "Bearer", "scope": SCOPE}
        return 200, {**own, **self.more}

    def credentials(self) -> Credentials:
        """What `gcloud auth application-default login` leaves behind, pointed at this server."""
        uri = f"http://127.0.0.1:{self.port}/token"
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
        server.stop()
