"""A base image, a plan and a bake behind a firewall: only a mirror and a proxy on the loopback address are reached."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bakery.backends import backend
from bakery.host import mirror
from bakery.operations import mirror_fill
from bakery.operations.python_packages import python_packages
from bakery.ovens.local import container
from bakery.progress.activity import Activity
from bakery.settings import parse
from tests.support.disk_content import in_mount
from tests.support.firewall import Firewall, firewall
from tests.support.root import ROOT

pytestmark = [pytest.mark.machines, pytest.mark.skipif(bool(container.lack()), reason=container.lack() or "-")]
ORIGINS = {"http://archive.example/debian": "debian", "http://archive.example/debian-security": "debian-security"}
INSTALL = """#!/bin/bash
set -euo pipefail
apt-get update
apt-get install --yes --no-install-recommends hello wget
wget --quiet --output-document=- http://outside.example/root
sudo wget --quiet --output-document=- http://outside.example/sudo
"""
RUN = "sudo -n sh -c '{{ .Vars }} {{ .Path }}'"
TEMPLATE = {
    "builders": [
        {
            "type": "googlecompute",
            "ssh_username": "packer",
            "source_image_family": "debian-12",
            "source_image_project_id": ["debian-cloud"],
            "image_family": "app",
            "image_name": "app",
        }
    ],
    "provisioners": [
        {
            "type": "shell",
            "script": "packages/app/install.sh",
            "execute_command": "sudo -n sh -c '{{ .Vars }} {{ .Path }}'",
        }
    ],
}
COMMAND = (sys.executable, "-c", "from bakery.cli.app import main; main()")


def upstream() -> dict[str, str]:
    """The archives of this computer's apt, by the names that the mirror has them under."""
    own = mirror.codename()
    found = mirror.for_suite("bookworm", "", mirror.apt_sources(), own)
    security = [one.uri for one in found if one.suite == "bookworm-security"]
    main = next(one.uri for one in found if one.suite == "bookworm")
    return {"debian": main.rstrip("/"), **({"debian-security": security[0].rstrip("/")} if security else {})}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    package = tmp_path / "packages/app"
    package.mkdir(parents=True)
    (package / "packer.json").write_text(json.dumps(TEMPLATE))
    (package / "install.sh").write_text(INSTALL)
    (package / "install.sh").chmod(0o755)
    (tmp_path / "common").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: image-bakery\nruntime: python\n")
    shutil.copy(ROOT / "bakery.lock", tmp_path)
    return tmp_path


def configure(checkout: Path, **values: object) -> None:
    local = {"isolation": "container", "cores": 1, "memoryMb": 1024, "diskGb": 4, "layers": {"budgetGb": 0}}
    config = {f"image-bakery:{key}": value for key, value in {"local": local, **values}.items()}
    (checkout / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))


def bakery(wall: Firewall, checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command behind the firewall, without what this computer's environment says of proxies and caches."""
    kept = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    env = {**kept, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(checkout / "cache"), "NO_COLOR": "1"}
    return wall.run(*COMMAND, *words, cwd=checkout, env=env)


def digests(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return [image["digest"] for image in json.loads(done.stdout)["images"]]


def test_a_bake_behind_a_firewall_and_nothing_of_it_in_the_image(checkout: Path) -> None:
    archives = upstream()
    with firewall(archives) as wall:
        configure(checkout)
        before = digests(bakery(wall, checkout, "plan", "--json"))
        here = f"http://127.0.0.1:{wall.port}"
        apt = {origin: f"{here}/{name}" for origin, name in ORIGINS.items() if name in archives}
        configure(checkout, proxy=here, mirrors={"apt": apt, "pypi": f"{here}/simple"})
        assert digests(bakery(wall, checkout, "plan", "--json")) == before
        assert wall.asked == wall.through == [], "a plan needs no network"

        done = bakery(wall, checkout, "bake", "app")
        logs = "\n".join(file.read_text() for file in (checkout / ".bakery/logs").glob("*.log"))
        assert done.returncode == 0, f"{done.stderr}\n{logs[-6000:]}"
        assert logs.count("from the proxy") == len(wall.through)
        assert wall.through == ["http://outside.example/root", "http://outside.example/sudo"]
        assert any(path.startswith("/debian/pool/main/h/hello/") for path in wall.asked)
        assert not any(path.startswith("/simple") for path in wall.asked)
        port = wall.port
    image = next((checkout / ".bakery/library/images").glob("*.qcow2"))
    for text in (f"127.0.0.1:{port}", f"10.0.2.2:{port}", "zz-bakery"):
        assert named_in(image, text) == "", f"{text} is left in the image"
    for origin in apt:
        assert "/etc/apt/sources.list" in named_in(image, f"{origin} ")


def named_in(image: Path, text: str) -> str:
    """The files of an image whose content or name has a text, one a line."""
    search = 'cd "$1"; grep -rlaF -e "$2" . || true; find . -name "*$2*"'
    return in_mount(image, ("sh", "-c", search, "sh"), text)


PROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "image-bakery"
version = "1"
[tool.hatch.build]
dev-mode-dirs = ["."]
"""
LOCKED = ("hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")


def test_set_up_takes_the_locked_packages_from_a_filled_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout, folder = tmp_path / "checkout", tmp_path / "mirror"
    (checkout / "bakery").mkdir(parents=True)
    (checkout / "bakery/__init__.py").touch()
    (checkout / "pyproject.toml").write_text(PROJECT)
    shutil.copytree(ROOT / "tools", checkout / "tools", ignore=shutil.ignore_patterns("go.*", "__pycache__"))
    entries = re.split(r"(?m)^(?=[\w.-]+==)", (ROOT / "requirements.lock").read_text())
    (checkout / "requirements.lock").write_text("".join(one for one in entries if one.startswith(LOCKED)))
    (checkout / ".bakery").mkdir()
    made = backend(parse({}, "dev", checkout))
    packages = [one for one in python_packages(made.settings) if one.checksums]
    monkeypatch.setattr(mirror_fill, "addresses", lambda _backend: packages)
    filled = mirror_fill.fill(made, folder, Activity())
    assert (len(filled.files), filled.problems) == (len(LOCKED), ())

    with firewall({"pypi": folder / "pypi"}) as wall:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PIP_") and key != "VIRTUAL_ENV"}
        env = {**kept, "PIP_INDEX_URL": f"http://127.0.0.1:{wall.port}/pypi", "PIP_CACHE_DIR": str(tmp_path / "cache")}
        done = wall.run("bash", str(checkout / "tools/venv.sh"), cwd=checkout, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert {path.split("/")[2] for path in wall.asked} == set(LOCKED)
    inside = [str(checkout / ".venv/bin/python"), "-c", "import bakery, hatchling; print(bakery.__file__)"]
    told = subprocess.run(inside, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert told.strip() == str(checkout / "bakery/__init__.py")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no go")
def test_set_up_builds_the_engine_from_the_modules_of_a_mirror(tmp_path: Path) -> None:
    """All modules are fetched anew; what was compiled of them before is taken from this computer's cache."""

    def go(name: str) -> str:
        return subprocess.run(["go", "env", name], check=True, capture_output=True, text=True).stdout.strip()

    publisher, compiled = re.split("[,|]", go("GOPROXY"))[0], go("GOCACHE")
    version = re.findall(r"(?m)^pulumi==([^ ]+)", (ROOT / "requirements.lock").read_text())[0]
    path = os.pathsep.join([str(Path(shutil.which("go") or "").parent), "/usr/bin", "/bin"])  # without an engine
    with firewall({"go": publisher}) as wall:
        env = {"PATH": path, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "GOCACHE": compiled}
        env |= {"GOPROXY": f"http://127.0.0.1:{wall.port}/go", "GOFLAGS": "-modcacherw", "PYTHONPATH": str(ROOT)}
        done = wall.run(sys.executable, str(ROOT / "tools/engine.py"), version, env=env)
        assert done.returncode == 0, done.stderr
        assert "Pulumi's installer can't be reached from here" in done.stderr
        assert wall.through == []
        assert f"/go/github.com/pulumi/pulumi/pkg/v3/@v/v{version}.zip" in wall.asked
    told = subprocess.run([f"{done.stdout.strip()}/pulumi", "version"], check=True, capture_output=True, text=True)
    assert told.stdout.strip().lstrip("v") == version
