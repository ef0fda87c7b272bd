"""Errors of Google's clients: which are tried again, and what is said of them."""

from __future__ import annotations

import pytest
from google.auth.exceptions import RefreshError, TransportError

from bakery.errors import Uncertain
from bakery.host.google import LOGIN, RETRY, api_errors


def test_a_line_that_broke_while_credentials_were_renewed_is_tried_again() -> None:
    tries: list[int] = []

    def call() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise TransportError("no route to oauth2.googleapis.com")
        return "answered"

    assert RETRY(call)() == "answered"


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (TransportError("no route"), "try again; nothing was changed"),
        (RefreshError("revoked"), f"log in again: {LOGIN}"),
    ],
)
def test_only_credentials_that_were_refused_want_a_new_login(error: Exception, hint: str) -> None:
    with pytest.raises(Uncertain) as told, api_errors("look"):
        raise error
    assert told.value.hint == hint
