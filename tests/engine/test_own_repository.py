"""The installed bakery, far from this checkout: the wheel, a repository made by ``bakery init``, and a stack in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support import workshop as shop
from tests.support.root import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a virtual environment with the wheel; its dependencies are those of this one.

    ``BAKERY_INSTALLED`` names one that is there already: that of ``make release-check``.
    """
    if made := os.environ.get("BAKERY_INSTALLED"):
        return Path(made)
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as content:
        assert "bakery/shipped/packages/hpcc/packer.json" in content.namelist()
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", "--quiet", "--no-deps", wheel],
        check=True, capture_output=True,
    )  # fmt: skip
    # A path in a .pth file is not searched for more of them: this checkout itself can't be imported.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return venv


@pytest.fixture
def run(tmp_path: Path, installed: Path, engine_path: str) -> Run:
    """Return a function that runs a command in a new folder with only the environment and the engine on PATH."""
    folder = tmp_path / "images"
    folder.mkdir()
    path = os.pathsep.join([str(installed / "bin"), engine_path, os.environ["PATH"]])
    environment = {
        **shop.environment(folder, tmp_path / "pulumi-home", engine_path),
        "PATH": path, "VIRTUAL_ENV": str(installed), "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }  # fmt: skip

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    return run


def test_a_new_repository_goes_from_nothing_to_promoted_images(run: Run, tmp_path: Path) -> None:
    done = run("bakery", "init")
    assert done.returncode == 0, done.stderr
    assert "packages/hello/packer.json" in done.stdout.splitlines()
    file = tmp_path / "images" / "Pulumi.dev.yaml"
    settings = yaml.safe_load(file.read_text())
    assert settings["config"] == {"images:oven": "local", "images:shipped": ["rcc-debian"]}
    settings["config"]["images:oven"] = "fake"
    file.write_text(yaml.safe_dump(settings))
    plan = json.loads(run("bakery", "plan", "--json", "--no-library").stdout)
    assert [(image["family"], image["base"]["family"]) for image in plan["images"]] == [
        ("rcc-debian", "debian-12"), ("hello", "rcc-debian"),
    ]  # fmt: skip
    for command in (("stack", "init", "dev"), ("up", "--yes", "--stack", "dev")):
        done = run("pulumi", *command, "--non-interactive")
        assert done.returncode == 0, done.stdout + done.stderr
    library = json.loads(run("bakery", "library", "--json").stdout)
    assert library["families"] == {image["family"]: image["name"] for image in plan["images"]}


def test_a_template_is_taken_by_pulumi_new(run: Run, installed: Path, tmp_path: Path) -> None:
    site, template = tmp_path / "images", tmp_path / "template"
    done = run("bakery", "init", str(template), "--template")
    assert done.returncode == 0 and f"pulumi new {template}" in done.stderr
    asked = yaml.safe_load((template / "Pulumi.yaml").read_text())["template"]["config"]
    assert {key: one["default"] for key, one in asked.items()} == {"oven": "local", "shipped": '["rcc-debian"]'}
    named = ("--name", "site-images", "--description", "Images: of the site")
    done = run("pulumi", "new", str(template), "--yes", "--generate-only", "--non-interactive", "--offline", *named)
    assert done.returncode == 0, done.stdout + done.stderr
    written = {path.relative_to(template) for path in template.rglob("*") if path.is_file()}
    assert {path.relative_to(site) for path in site.rglob("*") if path.is_file()} == written
    assert [path for path in written if re.search(r"\$\{(PROJECT|DESCRIPTION)\}", (site / path).read_text())] == []
    assert (site / "packages/hello/install.sh").stat().st_mode & 0o100
    project = yaml.safe_load((site / "Pulumi.yaml").read_text())
    assert (project["name"], project["description"]) == ("site-images", "Images: of the site")
    assert "template" not in project
    file = site / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("oven: local", "oven: fake"))
    plan = json.loads(run("bakery", "plan", "--json").stdout)
    assert [image["family"] for image in plan["images"]] == ["rcc-debian", "hello"]
    (site / ".venv").symlink_to(installed)  # pulumi new makes it, without --generate-only
    assert run("pulumi", "stack", "init", "dev", "--non-interactive").returncode == 0
    preview = run("pulumi", "preview", "--stack", "dev", "--non-interactive")
    assert preview.returncode == 0, preview.stdout + preview.stderr
    assert "baked: hello has no image yet" in preview.stdout


def test_a_program_that_uses_the_wheel_is_checked_with_its_types(installed: Path, tmp_path: Path) -> None:
    def checked(text: str) -> str:
        file = tmp_path / "program.py"
        file.write_text(f"{(ROOT / 'docs/examples/own_program.py').read_text()}{text}\n")
        options = (
            "--strict",
            "--no-error-summary",
            "--python-executable",
            installed / "bin/python",
            "--cache-dir",
            tmp_path,
        )
        command = (sys.executable, "-m", "mypy", *options, file.name)
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout

    assert checked("") == ""
    found = checked("reveal_type(images.families)\nimages.nothing\nbakery.declre")
    assert 'Revealed type is "pulumi.output.Output[dict[str, str]]"' in found
    assert 'error: "Bakery" has no attribute' in found and "error: Module has no attribute" in found


def test_a_pin_is_written_for_the_project(run: Run, tmp_path: Path) -> None:
    assert run("bakery", "init").returncode == 0
    file = tmp_path / "images" / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("oven: local", "oven: fake"))
    for command in (("stack", "init", "dev"), ("up", "--yes", "--stack", "dev")):
        assert run("pulumi", *command, "--non-interactive").returncode == 0
    image = json.loads(run("bakery", "library", "--json").stdout)["families"]["hello"]
    done = run("bakery", "promote", "hello", image)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(file.read_text())["config"]["images:pins"] == {"hello": image}
    assert "pinned to" in run("bakery", "plan").stdout


def test_shipped_packages_have_the_digests_of_the_checkout(run: Run, installed: Path) -> None:
    (shipped,) = installed.glob("lib/python*/site-packages/bakery/shipped")
    digests = [
        {image["name"]: image["digest"] for image in json.loads(plan.stdout)["images"]}
        for root in (shipped, ROOT)
        for plan in [run("bakery", "plan", "--json", "--no-library", "--packages", str(root / "packages"))]
    ]
    assert digests[0] == digests[1]
    assert {name.rpartition("-")[0] for name in digests[0]} >= {"rcc-debian", "hpcc", "wrf"}


def test_a_package_of_the_repository_overrides_a_shipped_one(run: Run, tmp_path: Path) -> None:
    assert run("bakery", "init", "--name", "site").returncode == 0
    before = json.loads(run("bakery", "plan", "--json", "--no-library").stdout)
    (tmp_path / "images" / "packages" / "hello").rename(tmp_path / "images" / "packages" / "rcc-debian")
    build = tmp_path / "images" / "packages" / "rcc-debian" / "cloudbuild.yaml"
    build.write_text(build.read_text().replace("packages/hello", "packages/rcc-debian"))
    after = json.loads(run("bakery", "plan", "--json", "--no-library").stdout)
    assert {image["package"] for image in before["images"]} == {"hello", "rcc-debian"}
    assert {(image["package"], image["family"]) for image in after["images"]} == {("rcc-debian", "hello")}
