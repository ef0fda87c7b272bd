"""What only shows as somebody else: an ordinary user, and the Python that Debian has.

The suite runs on the Python that the set-up found first, often a newer patch release, and in CI as root. Each test here
takes half a minute, so they run with what boots machines.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.root import ROOT

pytestmark = pytest.mark.machines
PYTHON = Path("/usr/bin/python3")
# What has to do with processes, archives and files, where patch releases differ.
NEAR_THE_SYSTEM = (
    "tests/unit/host",
    "tests/unit/ovens/local",
    "tests/unit/fluid_run/test_mailbox.py",
    "tests/unit/fluid_run/test_agent.py",
)


def release(python: Path) -> str:
    """The Python's version, as 3.11.2; empty when there is none."""
    if not python.exists():
        return ""
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    return subprocess.check_output([python, "-I", "-c", code], text=True).strip()


def no_other_python() -> str:
    """Why the system's Python can't run what is installed for this one; empty when it can and is another."""
    own, other = ".".join(map(str, sys.version_info[:3])), release(PYTHON)
    if own == other:
        return "the suite runs on the system's Python"
    return "" if other.rpartition(".")[0] == own.rpartition(".")[0] else f"the system's Python is {other or 'none'}"


def test_what_is_near_the_system_works_with_the_systems_python() -> None:
    if reason := no_other_python():  # not a mark: it runs a program, which no collection of tests shall wait for
        pytest.skip(reason)
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not machines", *NEAR_THE_SYSTEM]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


MAKE = """
from pathlib import Path
from bakery.progress.activity import Activity
from bakery.ovens.local import base_image
from bakery.plan.summary import Base
from bakery.settings import LocalSettings
base = Base("debian-12", "debian-12-test", "inrelease:test", "debian-cloud")
print(base_image.get(base, LocalSettings(), Activity(), Path("base.log")).disk)
"""


@pytest.fixture
def home() -> Iterator[tuple[Path, list[str]]]:
    """A folder of an ordinary user, and the words that run a command there as that user."""
    folder = Path(tempfile.mkdtemp(prefix="bakery-user-"))  # below /tmp: pytest's own folders are closed to others
    if os.geteuid() != 0:
        yield folder, []
        shutil.rmtree(folder)
        return
    name = f"bakery-{os.getpid()}"
    subprocess.run(["useradd", "--home-dir", folder, name], check=True)
    try:
        user = pwd.getpwnam(name)
        os.chown(folder, user.pw_uid, user.pw_gid)
        yield folder, ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
    finally:
        subprocess.run(["userdel", name], check=True)
        shutil.rmtree(folder)


@pytest.mark.skipif(not PYTHON.exists(), reason="there is no Python that every user can run")
def test_an_ordinary_user_makes_the_base_image_with_the_systems_python(home: tuple[Path, list[str]]) -> None:
    folder, as_user = home
    shutil.copytree(ROOT / "bakery", folder / "bakery", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(yaml.__file__).parent, folder / "yaml", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    subprocess.run(["chown", "-R", f"--reference={folder}", folder], check=True)
    subprocess.run(["chmod", "-R", "go=", folder], check=True)  # as in a home that is closed to others
    environment = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [*as_user, PYTHON, "-c", MAKE], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    disk = Path(done.stdout.strip())
    assert disk.is_relative_to(folder)
    raw = folder / "disk.raw"
    subprocess.run(["qemu-img", "check", "-q", disk], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
    # Root of the image is root, and its set-user-id programs still are: in there, another user had the files.
    modes = {"/usr/bin/sudo": "04755", "/usr/lib/image-bakery/seed": "0755", "/boot/grub/grub.cfg": "0644"}
    for path, mode in modes.items():
        found = subprocess.check_output(
            ["/usr/sbin/debugfs", "-R", f"stat {path}", f"{raw}?offset={1 << 20}"], text=True, stderr=subprocess.DEVNULL
        )
        assert f"Mode:  {mode} " in found
        assert "User:     0   Group:     0" in found
