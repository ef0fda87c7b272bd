"""A newcomer's tasks, done in a copy of ``bakery/`` with the files that ``docs/developing.md`` names.

A fourth back end is a folder in ``backends/``, a case of its ``match``, and a member of the settings' enum. It is put
together from an oven, a library and clusters that exist elsewhere. A check of recipes, a field of results and a command
take two files at most.
"""

from __future__ import annotations

import ast
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.rules.test_style import FUNCTION_LINES, MODULE_LINES
from tests.support.checkout import Checkout, make
from tests.support.root import ROOT

CHECK = '''
"""Checks the greeting of a package."""

from collections.abc import Collection

from bakery.recipe.parse import Findings


def check_motd(paths: Collection[str], findings: Findings) -> None:
    """Warn of a greeting."""
    if "share/motd" in paths:
        findings.at("share/motd").warn(1, "greets the user", "be silent")
'''
COMMAND = '''
"""``bakery greet``: greet a user."""


def greet(user: str) -> None:
    """Greet a user."""
    print(f"hello {user}")
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
    """A folder with a copy of ``bakery/`` that has the back end, the check, the field and the command."""
    shutil.copytree(ROOT / "bakery", tmp_path / "bakery", ignore=shutil.ignore_patterns("__pycache__"))
    backends = tmp_path / "bakery" / "backends"
    (backends / "other").mkdir()
    (backends / "other" / "__init__.py").touch()
    shutil.copy(ROOT / "tests/support/fourth_backend.py", backends / "other" / "backend.py")
    case = "        case OvenKind.FAKE:\n"
    chosen = "from bakery.backends.other.backend import OtherBackend; return OtherBackend(settings)"
    replace_once(backends / "__init__.py", case, f"        case OvenKind.OTHER: {chosen}\n{case}")
    member = '    FAKE = "fake", Place.LOCAL\n'
    replace_once(tmp_path / "bakery/settings/oven.py", member, f'{member}    OTHER = "other", Place.LOCAL\n')
    more_check(tmp_path / "bakery/recipe/check")
    more_field(tmp_path / "bakery")
    (tmp_path / "bakery/cli/commands/greet.py").write_text(COMMAND)
    return tmp_path


def more_check(folder: Path) -> None:
    (folder / "motd.py").write_text(CHECK)
    last = "from bakery.recipe.check.workspace import Workspace\n"
    replace_once(folder / "package.py", last, f"from bakery.recipe.check.motd import check_motd\n{last}")
    call = "        spack_environment.check("
    replace_once(folder / "package.py", call, f"        check_motd(self.paths, self.findings)\n{call}")


def more_field(product: Path) -> None:
    last = '        "test_tier": {"type": ["string", "null"]}\n'
    more = last.replace("}\n", '},\n        "weather": {"type": ["string", "null"]}\n')
    replace_once(product / "report/schemas/results.schema.json", last, more)
    value = '        "compute_disk_size_gb": part.disk_size_gb or None,\n'
    replace_once(product / "fluid_run/rows.py", value, f'{value}        "weather": "fine",\n')


def run(product: Path, checkout: Checkout, *commands: list[str]) -> list[tuple[int, str, str]]:
    """Run commands of the product, all in one process; their exit codes and outputs."""
    environment = {**checkout.environment(), "PYTHONPATH": str(product)}
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(commands), env=environment, cwd=checkout.root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_the_files_of_the_tasks_have_room_for_what_is_added(product: Path) -> None:
    """Else a newcomer would have to take a module apart first, see tests/rules/test_style.py."""
    for name in ("backends/__init__", "settings/oven", "recipe/check/package", "fluid_run/rows"):
        lines = (product / f"bakery/{name}.py").read_text().splitlines()
        functions = [one for one in ast.walk(ast.parse("\n".join(lines))) if isinstance(one, ast.FunctionDef)]
        longest = max(((one.end_lineno or 0) - one.lineno + 1 for one in functions), default=0)
        assert len(lines) <= MODULE_LINES and longest <= FUNCTION_LINES, name


def test_a_fourth_back_end_plans_bakes_tests_and_shows_its_library(product: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = make(tmp_path / "checkout")
    checkout.suite("app", "out")
    checkout.settings(oven="other")
    (tmp_path / "disk").write_bytes(b"made elsewhere")
    before, baked, tested, after, library, logs, doctor, recover, adopted, greeted = run(
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
        ["adopt", str(tmp_path / "disk"), "app"],
        ["greet", "world"],
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
    assert adopted[0] == 0 and "was adopted; to test it: bakery test app-" in adopted[1], adopted
    assert "greets the user" in before[1], before
    with closing(sqlite3.connect(checkout.root / ".bakery/library/library.sqlite")) as database:
        assert database.execute("SELECT benchmark_name, weather FROM app_runs").fetchall() == [("out", "fine")]
    assert greeted == (0, "hello world\n", "")


def test_a_back_end_without_a_case_is_an_error_and_not_another_one(product: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = make(tmp_path / "checkout")
    checkout.settings(oven="other")
    file = product / "bakery" / "backends" / "__init__.py"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "OvenKind.OTHER" not in line))
    ((code, _, said),) = run(product, checkout, ["plan"])
    assert code == 1
    assert said.startswith("error: unexpected AssertionError: ")
