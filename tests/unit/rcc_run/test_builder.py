"""The builder image, as far as it can be looked at without a container engine; and a trigger's build with it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud.devtools import cloudbuild_v1

from bakery.backends import backend
from bakery.host.google import Google
from bakery.infrastructure.triggers import builder_image
from bakery.lock import file as lock_file
from bakery.lock.model import Lock, Place
from bakery.operations.bake import planned
from bakery.orders.model import bake_order
from bakery.ovens.base import BakeOutcome
from bakery.ovens.cloud_build import request
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.plan.model import Plan
from bakery.preview.model import Action
from bakery.preview.plan_report import plan_report
from bakery.progress.activity import Activity
from bakery.rcc_run.cli import builder
from bakery.settings import from_file
from tests.fake_google import builds
from tests.fake_google.builds import Course
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout, make
from tests.support.every import every
from tests.support.plan_builders import BASE
from tests.support.root import ROOT
from tests.support.triggers import declared

FOLDER = ROOT / "packages" / "fluid-run"
LOCKS = ("tools/builder.lock", "requirements.lock")
SECRET = re.compile(r"(?i)(passw|secret|token|credential|api_?key|private_key|\.json\b)")


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: word and rest, continued lines joined, comments left out."""
    text = re.sub(r"(?m)^#.*\n", "", (FOLDER / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def of(steps: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for name, rest in steps if name == word]


def test_versions_are_those_of_the_bakes(steps: list[tuple[str, str]]) -> None:
    packer, gcloud = of(steps, "FROM")
    assert packer == f"{request.PACKER_IMAGE} AS packer"
    assert gcloud == request.GCLOUD_IMAGE
    assert f"packer plugins install {request.PLUGIN} {request.PLUGIN_VERSION}" in of(steps, "RUN")
    assert not any("latest" in image or ":" not in image for image in of(steps, "FROM"))


def test_all_that_python_needs_is_locked_by_hash(steps: list[tuple[str, str]]) -> None:
    installs = [line for line in of(steps, "RUN") if "pip install" in line]
    assert len(installs) == 2
    assert "--require-hashes --requirement /opt/bakery/builder.lock" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]


def test_all_but_the_declaration_of_infrastructure_runs_with_what_the_builder_holds() -> None:
    held, locked = (set(re.findall(r"(?m)^\S+==[^ ]+", (ROOT / name).read_text())) for name in LOCKS)
    assert held < locked, "run: make lock"
    left_out = {re.sub(r"[-_.]+", "-", name.partition("==")[0]).lower() for name in locked - held}
    owners = metadata.packages_distributions().items()
    absent = [package for package, names in owners if {re.sub(r"[-_.]+", "-", n).lower() for n in names} <= left_out]
    assert {"pulumi_gcp", "googleapiclient", "pytest"} <= set(absent)
    code = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({absent}))
import bakery
for module in pkgutil.walk_packages(bakery.__path__, "bakery."):
    if not module.name.startswith("bakery.infrastructure."):
        importlib.import_module(module.name)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_only_what_is_tracked_is_copied_and_nothing_is_secret(steps: list[tuple[str, str]]) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    sources = [word for line in of(steps, "COPY") if "--from" not in line for word in line.split()[:-1]]
    assert sorted(sources) == ["bakery", "bakery.lock", "common", "packages", "pyproject.toml", "tools/builder.lock"]
    assert every(any(name == source or name.startswith(f"{source}/") for name in tracked) for source in sources)
    let_through = (FOLDER / "Dockerfile.dockerignore").read_text().split()
    assert let_through[0] == "**"
    assert sorted(line[1:] for line in let_through if line.startswith("!")) == sorted(sources)
    for name in ("Dockerfile", "builder.yaml"):
        assert not SECRET.search((FOLDER / name).read_text().replace("gcloud", "")), name
    assert of(steps, "ARG") == [] and of(steps, "ADD") == []


def test_shellcheck_has_nothing_to_say(steps: list[tuple[str, str]]) -> None:
    script = "#!/bin/bash\n" + "\n".join(of(steps, "RUN")) + "\n"
    done = subprocess.run(["shellcheck", "-"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_build_is_one_that_cloud_build_takes_and_its_image_the_triggers(checkout: Checkout) -> None:
    given = yaml.safe_load((FOLDER / "builder.yaml").read_text())
    build = cloudbuild_v1.Build.from_json(json.dumps(given))
    (step,) = build.steps
    assert "latest" not in step.name and ":" in step.name
    assert "--file=packages/fluid-run/Dockerfile" in step.args
    values = {**build.substitutions, "PROJECT_ID": "p"}
    assert build.options.requested_verify_option == 0, "VERIFIED needs Container Analysis, which nothing enables"
    image = build.images[0]
    for _ in range(3):
        image = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], image)
    google = from_file(checkout.root, "gcp").google
    assert image == builder_image(google)


def test_the_entry_point_is_installed_with_all_that_it_reads(steps: list[tuple[str, str]], tmp_path: Path) -> None:
    """What pip makes of the checkout: the packages, the files beside them, the commands."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, "."],
        cwd=_sources(tmp_path / "source"), check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        commands = packed.read(entry).decode()
        packed.extractall(tmp_path / "installed")
    (command,) = json.loads(of(steps, "ENTRYPOINT")[0])
    assert f"{command} = bakery.rcc_run.cli:builder" in commands
    tracked = subprocess.run(
        ["git", "ls-files", "bakery"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert sorted(set(tracked) - names) == []
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); sys.argv = ['x', '--help']\n"
    code += "from bakery.rcc_run.cli import builder; builder()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--gce-image" in done.stdout


def _sources(folder: Path) -> Path:
    """What the Dockerfile copies, as git has it."""
    folder.mkdir()
    copied = ("bakery", "bakery.lock", "common", "packages", "pyproject.toml")
    listed = subprocess.run(["git", "ls-files", *copied], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture
def checkout(tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    """A gcp stack against the fake, with the two packages of every test of commands; ``app`` has a test."""
    made = make(tmp_path)
    google = {"project": "p", "region": "us-central1", "repository": "o/r", "endpoint": server.url}
    made.settings("gcp", oven="cloud-build", google=google)
    made.suite("app", "app/smoke")
    lock_file.write(tmp_path / "bakery.lock", Lock({Place.GOOGLE: {"debian-cloud/debian-12": BASE}}))
    for bucket in ("sources", "logs", "artifacts"):
        server.cloud.items[f"storage/storage/v1/b/p-bakery-{bucket}"] = {"name": f"p-bakery-{bucket}"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield made


def trigger_of(checkout: Checkout, family: str) -> dict[str, Any]:
    """What the program declares as the family's trigger."""
    settings = from_file(checkout.root, "gcp")
    return declared(settings, Plan(planned(settings, ["base", "app"])))[f"bake-{family}"]


def started(build: cloudbuild_v1.Build, monkeypatch: pytest.MonkeyPatch) -> int:
    """Do what Cloud Build does with the build's one step, a container of the builder image; its exit code."""
    (step,) = build.steps
    monkeypatch.setattr(sys, "argv", ["bakery-builder", *step.args])
    with pytest.raises(SystemExit) as ended:
        builder()
    return int(ended.value.code or 0)  # type: ignore[arg-type]


def test_what_a_trigger_bakes_is_adopted_by_an_up(
    checkout: Checkout, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds.script(server.cloud, lambda _build: Course(makes_image="_IMAGE_NAME" in _build.get("substitutions", {})))
    settings = from_file(checkout.root, "gcp")
    before = plan_report(settings, backend(settings).existing_library)
    assert [one.action for one in before.decisions] == [Action.BAKE, Action.BAKE]
    trigger = trigger_of(checkout, "app")
    request = {key: trigger["build"][key] for key in ("steps", "timeout", "options")}
    assert request["steps"][0]["name"] == builder_image(settings.google)
    operation = Google(settings.google).builds.create_build(
        project_id="p", build=cloudbuild_v1.Build.from_json(json.dumps(request))
    )
    assert started(operation.metadata.build, monkeypatch) == 0

    base, app = plan_report(settings, backend(settings).existing_library).decisions
    assert (base.action, app.action) == (Action.ADOPT, Action.TEST)
    assert app.reasons == ("baked, and not tested yet",)
    submitted = sum(1 for _, name, _ in server.cloud.calls if name.endswith("builds.create"))
    assert submitted == 3, "the trigger's own, and a bake for each image"
    for image in planned(settings, ["app"]):
        outcome = CloudBuildOven(settings).bake(bake_order(image), Activity()).outcome
        assert outcome is BakeOutcome.ADOPTED
    assert sum(1 for _, name, _ in server.cloud.calls if name.endswith("builds.create")) == submitted
    assert started(operation.metadata.build, monkeypatch) == 0, "pushed again, the trigger adopts it too"


def test_a_trigger_fails_with_its_bake(
    checkout: Checkout, server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    builds.script(server.cloud, lambda _build: Course(status="FAILURE", log=("no such package: gromax",)))
    trigger = trigger_of(checkout, "base")
    build = cloudbuild_v1.Build.from_json(json.dumps({"steps": trigger["build"]["steps"]}))
    assert started(build, monkeypatch) == 1
    said = capsys.readouterr().err
    assert "  | no such package: gromax" in said
    assert "log: https://console.cloud.google.com/" in said
    assert "replay: bakery bake base --stack gcp" in said


@pytest.mark.parametrize("words", [["plan", "--markdown"], ["lock", "--check"], ["bake", "app"]])
def test_the_commands_of_all_triggers_are_there(words: list[str]) -> None:
    done = subprocess.run(["bakery", *words[:1], "--help"], capture_output=True, text=True, check=True)
    missing = [word for word in words[1:] if word.startswith("--") and word not in done.stdout]
    assert missing == [], shlex.join(words)
