"""The current time, as records and files state it."""

from datetime import UTC, datetime
from typing import Literal


def utc_now(precision: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """Return the current time as RFC 3339 in UTC: ``2026-01-31T12:00:00.000Z``."""
    return datetime.now(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
