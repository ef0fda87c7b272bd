"""What every test stands on: the checkout's own programs, and nothing of the user's Pulumi set-up."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest

from bakery.host import proc
from bakery.settings import Settings, parse
from tests.support.chaos import points
from tests.support.root import ROOT

# Modules stay, and so do the tests: looking for garbage among them takes a quarter of a worker's start, and time later.
gc.disable()

# How fast an example is found and run depends on the machine, and on what the other workers do.
slow = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("any-machine", deadline=None, suppress_health_check=slow)
hypothesis.settings.load_profile("any-machine")

# Plain `pytest`, outside of `make shell`, finds the same engine.
OWN = [str(ROOT / ".venv" / "bin"), str(ROOT / ".bakery" / "engine")]
os.environ["PATH"] = os.pathsep.join([*OWN, *(e for e in os.environ["PATH"].split(os.pathsep) if e not in OWN)])

# A test that needs one of these sets it itself; the dev stack of this checkout is never touched by a test.
for name in [name for name in os.environ if name.startswith("PULUMI_")]:
    del os.environ[name]
os.environ["PULUMI_SKIP_UPDATE_CHECK"] = "true"

# A job in the background ignores Ctrl-C and hands that on to its children; those of the tests are to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run side by side: none ends what a test of another worker has orphaned on purpose.
ORPHANS, WORKER = proc.orphans, os.environ.get("PYTEST_XDIST_WORKER", "")


def orphans_of_this_worker() -> Iterator[int]:
    mine = f"PYTEST_XDIST_WORKER={WORKER}".encode()
    for pid in ORPHANS():
        with suppress(OSError):
            if not WORKER or mine in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                yield pid


proc.orphans = orphans_of_this_worker


def pytest_report_header() -> str:
    return f"tests/engine/test_chaos.py: to repeat its points, make chaos SEED={points.seed()}"


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a stack that lives in ``tmp_path`` and bakes with the fake oven; keywords are configuration keys."""

    def make(**values: object) -> Settings:
        return parse({"oven": "fake", **values}, "test", tmp_path)

    return make
