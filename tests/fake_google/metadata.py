"""The metadata server of one fake instance, as Compute Engine has it at 169.254.169.254.

Every question needs ``Metadata-Flavor: Google`` and must not have come through a proxy, so that no forged request of a
browser or a job gets a token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.fake_google import loopback

Json = Any
ROOT = "/computeMetadata/v1/"
TOKEN_SECONDS = 3599
AS_JSON = re.compile(r"instance/(tags|service-accounts/[^/]+/(token)?)")


class Handler(loopback.Handler):
    """One question."""

    server: MetadataServer

    def do_GET(self) -> None:
        """Answer it."""
        if self.headers.get("Metadata-Flavor") != "Google" or "X-Forwarded-For" in self.headers:
            return self._send(403, "Missing Metadata-Flavor:Google header.")
        path = self.path.partition("?")[0].removeprefix(ROOT)
        answer = self.server.values.get(path)
        kind = "application/json" if AS_JSON.fullmatch(path) else "application/text"
        return self._send(404, "not found") if answer is None else self._send(200, answer(), kind)

    def _send(self, code: int, text: str, kind: str = "text/html; charset=UTF-8") -> None:
        self.send(code, text, {"Metadata-Flavor": "Google", "Content-Type": kind})


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
        "project/project-id": project,
        "instance/tags": json.dumps(item.get("tags", {}).get("items", [])),
        "/": "computeMetadata/\n",  # google-auth asks this first: whether it is on Compute Engine at all
    }
    about = {"aliases": ["default"], "email": account["email"], "scopes": account["scopes"]}
    names = [f"instance/service-accounts/{name}" for name in ("default", account["email"])]
    for name in names:
        plain[f"{name}/"] = json.dumps(about)
        plain[f"{name}/email"] = account["email"]
        plain[f"{name}/scopes"] = "\n".join(account["scopes"])
    plain |= {f"instance/attributes/{pair['key']}": pair["value"] for pair in item["metadata"].get("items", [])}
    fixed: dict[str, Callable[[], str]] = {path: lambda text=text: text for path, text in plain.items()}  # type: ignore[misc]
    return {**fixed, **{f"{name}/token": token for name in names}}
