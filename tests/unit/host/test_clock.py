"""The current time as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from bakery.host.clock import utc_now


def test_the_time_is_in_utc_and_says_so() -> None:
    before = datetime.now(UTC)
    assert abs((datetime.fromisoformat(utc_now()) - before).total_seconds()) < 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", utc_now("seconds"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", utc_now())
