"""Which account credentials are of: what the history of a family on Google Cloud says of who did something."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bakery.host.google import Google
from bakery.host.principal import address_of
from bakery.settings import parse
from tests.fake_google import tokens
from tests.fake_google.server import serve


def id_token(**claims: Any) -> str:
    """A token as Google's, whose signature nobody looks at."""
    parts = ({"alg": "RS256"}, claims, "signed")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize(
    ("known", "address"),
    [
        ({"service_account_email": "bot@p.iam.gserviceaccount.com"}, "bot@p.iam.gserviceaccount.com"),
        ({"service_account_email": "default"}, ""),  # of a machine, before the first request
        ({"account": "ann@example.com", "id_token": None}, "ann@example.com"),
        ({"account": "", "id_token": id_token(email="ann@example.com", email_verified=True)}, "ann@example.com"),
        ({"id_token": id_token(email="ann@example.com", email_verified=False)}, ""),
        ({"id_token": id_token(sub="1", email_verified=True)}, ""),
        ({"id_token": "a.b.c"}, ""),
        ({"id_token": "a.W10.c"}, ""),
        ({}, ""),
    ],
)
def test_the_address_of_credentials(known: dict[str, Any], address: str) -> None:
    assert address_of(SimpleNamespace(**known)) == address


def test_a_user_who_logged_in_is_known_by_the_token_that_comes_with_the_login(tmp_path: Path) -> None:
    with serve() as server, tokens.issuing(server.cloud, 3600) as issuer:
        values = {"project": "p", "region": "us-central1", "endpoint": server.url}
        google = Google(parse({"oven": "cloud-build", "google": values}, "gcp", tmp_path).google)
        assert google.principal == "", "the fake's credentials are nobody's"
        issuer.more = {"id_token": id_token(email="ann@example.com", email_verified=True)}
        google = Google(google.settings)
        google.__dict__["credentials"] = issuer.credentials()
        assert google.principal == "ann@example.com"
        issuer.revoked = True
        google = Google(google.settings)
        google.__dict__["credentials"] = issuer.credentials()
        assert google.principal == "", "credentials that are refused tell nothing, and break nothing"
