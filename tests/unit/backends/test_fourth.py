"""A fourth back end is a folder in ``backends/``, a case of its ``match``, and a member of the settings' enum.

The back end here is put together from an oven, a library and clusters that exist elsewhere, in a copy of ``bakery/``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import Checkout, make
from tests.support.root import ROOT

OTHER = '''
"""A back end of a test."""

from dataclasses import dataclass

from bakery.backends.base import ImageLogs
from bakery.fluid_run.clusters.fake import FakeClusters
from bakery.library.local.library import LocalLibrary
from bakery.lock.resolve import DebianArchive
from bakery.ovens.fake import FakeOven
from bakery.settings import Settings


@dataclass(frozen=True)
class OtherBackend:
    settings: Settings

    @property
    def location(self):
        return {"project": "elsewhere"}

    def oven(self):
        return FakeOven(self.settings)

    def library(self):
        return LocalLibrary(self.settings)

    def existing_library(self):
        return self.library()

    def damaged(self, *, contents):
        return []

    def clusters(self, *, open_shell=False):
        return FakeClusters(self.settings)

    def resolver(self):
        return DebianArchive(self.settings.local.mirror)

    def image_link(self, name, digest):
        return f"other://{name}"

    def declare(self, plan):
        return ()

    def logs(self, wanted):
        return ImageLogs(wanted, "other://log", lambda: b"the log\\n", (), ())

    def checks(self):
        return iter(())

    def prune_layers(self, *, dry_run=False):
        return 0

    def recover(self, *, dry_run=False):
        return ["recovered elsewhere"]
'''
RUN = """
import json, sys
from typer.testing import CliRunner
from bakery.cli.app import make_app
for arguments in json.load(sys.stdin):
    done = CliRunner().invoke(make_app(), arguments, catch_exceptions=False)
    print(json.dumps([done.exit_code, done.stdout, done.stderr]))
"""


def replace_once(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new))


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A folder with a copy of ``bakery/`` that has the back end."""
    shutil.copytree(ROOT / "bakery", tmp_path / "bakery", ignore=shutil.ignore_patterns("__pycache__"))
    backends = tmp_path / "bakery" / "backends"
    (backends / "other").mkdir()
    (backends / "other" / "__init__.py").touch()
    (backends / "other" / "backend.py").write_text(OTHER)
    case = "        case OvenKind.FAKE:\n"
    chosen = "from bakery.backends.other.backend import OtherBackend; return OtherBackend(settings)"
    replace_once(backends / "__init__.py", case, f"        case OvenKind.OTHER: {chosen}\n{case}")
    member = '    FAKE = "fake", Place.LOCAL\n'
    replace_once(tmp_path / "bakery/settings/oven.py", member, f'{member}    OTHER = "other", Place.LOCAL\n')
    return tmp_path


def run(product: Path, checkout: Checkout, *commands: list[str]) -> list[tuple[int, str, str]]:
    """Run commands of the product, all in one process; their exit codes and outputs."""
    environment = {**checkout.environment(), "PYTHONPATH": str(product)}
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(commands), env=environment, cwd=checkout.root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_a_fourth_back_end_plans_bakes_tests_and_shows_its_library(product: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = make(tmp_path / "checkout")
    checkout.suite("app", "out")
    checkout.settings(oven="other")
    before, baked, tested, after, library, logs, doctor, recover = run(
        product,
        checkout,
        ["plan", "--json"],
        ["bake", "app"],
        ["test", "app"],
        ["plan", "--json"],
        ["library", "--json"],
        ["logs", "app"],
        ["doctor", "--json"],
        ["recover"],
    )
    assert [(image["family"], image["action"]) for image in json.loads(before[1])["images"]] == [
        ("base", "bake"),
        ("app", "bake"),
    ]
    assert baked[0] == 0 and "app: app-" in baked[1], baked
    assert tested[0] == 0 and ": passed, 1 of 1 jobs passed, " in tested[1], tested
    assert {image["action"] for image in json.loads(after[1])["images"]} == {"adopt"}
    images = json.loads(library[1])["images"]
    assert [(image["candidate_for"], image["proof"]) for image in images] == [("base", "untested"), ("app", "passed")]
    assert logs == (0, "the log\n", "bake of app: other://log\n")
    assert not {"packer", "accelerator"} & {check["name"] for check in json.loads(doctor[1])}
    assert recover[:2] == (0, "recovered elsewhere\n")


def test_a_back_end_without_a_case_is_an_error_and_not_another_one(product: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = make(tmp_path / "checkout")
    checkout.settings(oven="other")
    file = product / "bakery" / "backends" / "__init__.py"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "OvenKind.OTHER" not in line))
    ((code, _, said),) = run(product, checkout, ["plan"])
    assert code == 1
    assert said.startswith("error: unexpected AssertionError: ")
