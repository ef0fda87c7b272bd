"""Which account Google's credentials are of."""

import base64
import json
from typing import Any


def address_of(credentials: Any) -> str:
    """Return the address of the account: of a service account, or of the user who logged in; "" if it is not known.

    The login of a user comes with an ID token, whose middle part has the address; see
    https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload
    """
    service = str(getattr(credentials, "service_account_email", "") or "")
    known = service if "@" in service else str(getattr(credentials, "account", "") or "")
    parts = str(getattr(credentials, "id_token", "") or "").split(".")
    if known or len(parts) != 3:
        return known
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
        return str(claims["email"]) if claims.get("email_verified") else ""
    except (ValueError, KeyError, AttributeError):
        return ""
