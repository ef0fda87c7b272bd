"""The metadata server of one fake instance, as Compute Engine has it at 169.254.169.254.

Every question needs ``Metadata-Flavor: Google`` and must not have come through a proxy, so that no forged request of a
browser or a job gets a token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.fake_google import loopback

Json = Any
ROOT = "/computeMetadata/v1/"
TOKEN_SECONDS = 3599


class Handler(loopback.Handler):
    """One question."""

    server: MetadataServer

    def do_GET(self) -> None:
        """Answer it."""
        if self.headers.get("Metadata-Flavor") != "Google" or "X-Forwarded-For" in self.headers:
            return self._send(403, "Missing Metadata-Flavor:Google header.")
        answer = self.server.values.get(self.path.partition("?")[0].removeprefix(ROOT))
        return self._send(404, "not found") if answer is None else self._send(200, answer())

    def _send(self, code: int, text: str) -> None:
        self.send(code, text, {"Metadata-Flavor": "Google"})


class MetadataServer(loopback.Loopback):
    """What one instance is told of itself; ``issue`` makes a token for an account's address and its scopes."""

    def __init__(self, project: str, item: Json, issue: Callable[[str, tuple[str, ...]], str]) -> None:
        self.values: Mapping[str, Callable[[], str]] = values(project, item, issue)
        super().__init__(Handler)


def values(project: str, item: Json, issue: Callable[[str, tuple[str, ...]], str]) -> Mapping[str, Callable[[], str]]:
    """The paths below ``computeMetadata/v1/`` and what stands there."""
    account = (item.get("serviceAccounts") or [{"email": "", "scopes": []}])[0]
    card = item["networkInterfaces"][0]

    def token() -> str:
        made = issue(account["email"], tuple(account["scopes"]))
        return json.dumps({"access_token": made, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})

    plain = {
        "instance/id": str(item["id"]),
        "instance/name": item["name"],
        "instance/zone": f"projects/123456789012/zones/{item['zone'].rpartition('/')[2]}",
        "instance/network-interfaces/0/ip": card["networkIP"],
        "instance/service-accounts/default/email": account["email"],
        "instance/service-accounts/default/scopes": "\n".join(account["scopes"]),
        "project/project-id": project,
    }
    plain |= {f"instance/attributes/{pair['key']}": pair["value"] for pair in item["metadata"].get("items", [])}
    fixed: dict[str, Callable[[], str]] = {path: lambda text=text: text for path, text in plain.items()}  # type: ignore[misc]
    return {**fixed, "instance/service-accounts/default/token": token}
