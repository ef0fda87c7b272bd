"""The current time, and the form in which records and files state it."""

from datetime import UTC, datetime
from typing import Literal


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def utc_now(precision: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """Return the current time as RFC 3339 in UTC: ``2026-01-31T12:00:00.000Z``."""
    return now().isoformat(timespec=precision).replace("+00:00", "Z")
