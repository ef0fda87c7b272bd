"""The engine tests' answer to ``pip list`` is pip's own."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support import workshop as shop
from tests.support.root import ROOT

LIST = ("list", "-v", "--format", "json")


def pip(*arguments: str, quick: bool) -> str:
    """What the language host gets when it runs pip."""
    environment = {"PYTHONPATH": str(shop.QUICK_PIP)} if quick else {}
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_list_is_that_of_pip() -> None:
    quick, slow = (json.loads(pip(*LIST, quick=quick)) for quick in (True, False))
    keys = ("name", "version", "location")
    assert len(slow) > 20
    assert {tuple(one[key] for key in keys) for one in quick} == {tuple(one[key] for key in keys) for one in slow}


def test_other_commands_are_left_to_pip() -> None:
    assert pip("--version", quick=True) == pip("--version", quick=False)
