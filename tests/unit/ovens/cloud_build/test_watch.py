"""The log of a build is followed without a gap, whatever bytes are in it."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud.devtools import cloudbuild_v1

from bakery.ovens.cloud_build import watch


def test_bytes_that_are_no_text_leave_no_gap_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    written = b"==> gce: Creating instance...\n" + b"\xff" * 40 + b"\n"
    google: Any = None
    build = cloudbuild_v1.Build()
    monkeypatch.setattr(watch, "log_of", lambda _google, _build, start=0: written[start:])
    follower = watch.BuildWatch(google, "session", 1.0)
    position, phase = follower._follow(build, 0, "")
    assert phase == "Creating instance"
    written += b"==> gce: Waiting for SSH to become available...\n"
    assert follower._follow(build, position, phase) == (len(written), "Waiting for SSH")
