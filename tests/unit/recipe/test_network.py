"""What runs before and after a recipe's provisioners for mirrors and a proxy, with the shell that a machine has."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bakery.recipe.model import Json
from bakery.recipe.network import provisioners
from bakery.settings import Mirrors, NetworkSettings
from bakery.settings.network import DIRECT

APT = {"http://a.example/debian": "http://m.example:81/d", "http://a.example/debian-security": "http://m.example:81/s"}
DNF = {"http://dl.example/$contentdir": "http://m.example:81/rocky"}
DEB822 = "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\n"
ONE_LINE = "deb http://a.example/debian-security bookworm-security main\ndeb http://other.example/debian x main\n"
REPO = """[base]
name=Base
mirrorlist=https://lists.example/?arch=$basearch
#baseurl=http://dl.example/$contentdir/$releasever/
[more]
# baseurl=http://dl.example/$contentdir/more
metalink=https://lists.example/more
"""
PLAIN = "[own]\nbaseurl=https://own.example/x\nmirrorlist=https://lists.example/own\n"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    files = {
        "apt/sources.list": ONE_LINE,
        "apt/sources.list.d/debian.sources": DEB822,
        "apt/mirrors/debian.list": "http://a.example/debian\n",
        "yum.repos.d/rocky.repo": REPO,
        "yum.repos.d/own.repo": PLAIN,
        "sudoers.d/README": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(steps: list[Json], etc: Path) -> None:
    """Run the lines that change files below the folder, without what searches this computer."""
    for step in steps:
        lines = [line for line in step["inline"] if str(etc) in line or line.startswith("root()")]
        script = "\n".join(['sudo() { shift; "$@"; }', *lines])
        subprocess.run(["/bin/sh", "-e", "-c", script], check=True)


def contents(etc: Path) -> dict[str, str]:
    return {str(file.relative_to(etc)): file.read_text() for file in etc.rglob("*") if file.is_file()}


def test_without_mirrors_and_a_proxy_nothing_is_added() -> None:
    steps = [{"type": "shell", "inline": ["true"]}]
    assert provisioners(steps, DIRECT) == ([], steps, [])


def test_package_managers_use_the_mirrors_until_the_end(etc: Path) -> None:
    before = contents(etc)
    first, _, last = provisioners(
        [], NetworkSettings("http://p.example:3128", mirrors=Mirrors(apt=APT, dnf=DNF)), str(etc)
    )
    for _ in range(2):  # a bake that continues from a layer does it again
        run(first, etc)
    during = contents(etc)
    assert during["apt/sources.list"].splitlines() == [
        "deb http://m.example:81/s bookworm-security main",
        "deb http://other.example/debian x main",
    ]
    assert "URIs: http://m.example:81/d\n" in during["apt/sources.list.d/debian.sources"]
    assert during["apt/mirrors/debian.list"] == "http://m.example:81/d\n"
    active = [line for line in during["yum.repos.d/rocky.repo"].splitlines() if not line.startswith("#")]
    assert active == [
        "[base]",
        "name=Base",
        "baseurl=http://m.example:81/rocky/$releasever/",
        "[more]",
        "baseurl=http://m.example:81/rocky/more",
    ]
    assert during["yum.repos.d/own.repo"] == PLAIN
    assert "http_proxy" in during["sudoers.d/zz-bakery-network"]
    assert "p.example" not in during["sudoers.d/zz-bakery-network"]
    run(last, etc)
    assert contents(etc) == before


def test_what_a_recipe_adds_gets_the_publishers_address_too(etc: Path) -> None:
    first, _, last = provisioners([], NetworkSettings(mirrors=Mirrors(apt=APT)), str(etc))
    run(first, etc)
    (etc / "apt/sources.list.d/more.list").write_text("deb http://m.example:81/d bookworm-backports main\n")
    run(last, etc)
    more = contents(etc)["apt/sources.list.d/more.list"]
    assert more == "deb http://a.example/debian bookworm-backports main\n"


def given(step: Json, **values: Any) -> Json:
    return provisioners([step], NetworkSettings(**values))[1][0]


def test_shell_provisioners_have_the_proxy_before_their_own_variables() -> None:
    step = {"type": "shell", "inline": ["true"], "environment_vars": ["https_proxy=http://mine"]}
    changed = given(step, proxy="http://p.example:3128")["environment_vars"]
    assert changed[0] == "http_proxy=http://p.example:3128"
    assert changed[-1] == "https_proxy=http://mine"


def test_other_provisioners_are_as_they_were() -> None:
    step = {"type": "file", "source": "a", "destination": "/tmp/a"}
    assert given(step, proxy="http://p.example:3128") == step


def searching(folder: Path) -> str:
    """The script that searches an image, for a folder in its place."""
    _, _, last = provisioners([], NetworkSettings("http://p.example:3128"))
    search = [line for line in last[0]["inline"] if line.startswith(("root()", "root find /etc", "left=", "[ -z"))]
    return "\n".join(search).replace("find /etc /root /home /opt /srv /usr/local /var/lib", f"find {folder}")


def test_logs_of_spack_with_an_address_go_and_others_stay(tmp_path: Path) -> None:
    logs = {"spack-build-env.txt": b"http_proxy=http://p.example:3128\n", "spack-build-out.txt.gz": b"p.example:3128"}
    logs |= {"spack-build-01-out.txt": b"built", "spack-configure-args.txt": b"--with-x"}
    folder = tmp_path / "opt/hello/.spack"
    folder.mkdir(parents=True)
    for name, text in logs.items():
        (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    subprocess.run(["/bin/sh", "-e", "-c", searching(tmp_path)], check=True)
    assert sorted(file.name for file in folder.iterdir()) == ["spack-build-01-out.txt", "spack-configure-args.txt"]


def test_an_address_that_a_recipe_left_stops_the_bake(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("proxy = http://p.example:3128\n")
    script = searching(tmp_path)
    done = subprocess.run(["/bin/sh", "-e", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"remove it in the recipe: {tmp_path}/pip.conf" in done.stderr
    (tmp_path / "pip.conf").write_text("")
    assert subprocess.run(["/bin/sh", "-e", "-c", script], check=False).returncode == 0
