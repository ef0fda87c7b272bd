"""Holds a release against what its users have: ``release_check.py``, run by ``make release-check``.

The tracked files are built twice into a wheel, which has to come out the same. It is installed with pip and the newest
dependencies that it allows into a virtual environment, as a user does it. With that bakery, not the checkout's, the
tests of compatibility run (states, libraries, digests, schemas of every released version), and those of a new
repository: ``bakery init``, the plan, the first ``pulumi up``. The exit code is 0 only if all of that succeeded.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = (
    *("tests/compatibility", "tests/unit/settings/test_deprecated.py", "tests/engine/test_rules.py"),
    *("tests/engine/test_own_repository.py", "tests/engine/test_as_a_library.py", "tests/engine/test_release.py"),
)


class Failed(Exception):
    """A step failed: what is wrong, and what to do."""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Return what the command prints. Raises Failed with its last lines."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-40:])
        raise Failed(f"{last}\n`{' '.join(map(str, command))}` ended with exit code {done.returncode}")
    return done.stdout


def copy_tracked(folder: Path) -> Path:
    """Copy what git tracks, as it is in the working tree: nothing else may get into a release."""
    for name in run("git", "ls-files", "-z", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    return folder


def check_version(checkout: Path) -> str:
    """Return the version of the release, which the changelog has to describe."""
    version = re.search(r'^__version__ = "([^"]+)"$', (checkout / "bakery/version.py").read_text("utf-8"), re.M)
    if version is None:
        raise Failed("bakery/version.py: there is no __version__; it is the only place that has the version")
    changes = (checkout / "CHANGELOG.md").read_text("utf-8")
    if f"## [{version[1]}]" not in changes:
        raise Failed(f"CHANGELOG.md: there is no section [{version[1]}]; describe the release, or mend the version")
    return version[1]


def build(checkout: Path, folder: Path) -> Path:
    """Build the wheel twice and return it."""
    wheels: list[Path] = []
    for name in ("first", "second"):
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
        run(*pip, "--wheel-dir", folder / name, checkout, cwd=folder)
        wheels += (folder / name).glob("*.whl")
    if len({hashlib.sha256(wheel.read_bytes()).digest() for wheel in wheels}) != 1:
        raise Failed("two builds of the same files differ: find the time or the order that gets into the wheel")
    return wheels[0]


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel as a user does, with what its tests need, and return the environment's Python."""
    venv.create(folder, with_pip=True)
    python = Path(folder, "bin", "python")
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[gcp,dev]", cwd=folder)
    return python


def test(python: Path, checkout: Path) -> str:
    """Run the tests with the installed bakery in place of the checkout's, and return pytest's last line."""
    environment = python.parent.parent
    shutil.rmtree(checkout / "bakery")
    (checkout / "bakery").symlink_to(next(environment.glob("lib/python*/site-packages/bakery")))
    (checkout / ".venv").symlink_to(environment)
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    command = (python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *TESTS)
    return run(*command, cwd=checkout, PATH=path, BAKERY_INSTALLED=str(environment)).splitlines()[-1]


def main() -> int:
    """Run the steps, one line for each."""
    with tempfile.TemporaryDirectory(prefix="release-") as temporary:
        folder, started = Path(temporary), time.monotonic()

        def done(step: str) -> None:
            print(f"{time.monotonic() - started:6.0f} s  {step}", flush=True)

        try:
            checkout = copy_tracked(folder / "checkout")
            done(f"version {check_version(checkout)} is in the changelog")
            wheel = build(checkout, folder)
            done(f"{wheel.name} is built, twice the same, {wheel.stat().st_size / 1e6:.1f} MB")
            python = install(wheel, folder / "venv")
            done("it is installed, with the newest dependencies that it allows")
            done(f"with it, far from the checkout: {test(python, checkout)}")
        except Failed as fault:
            print(fault, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
