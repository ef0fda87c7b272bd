"""The container image of tools/Containerfile is built, and an ordinary user gets from nothing to tested images in it.

The image that it starts from is made here, the engine is that of this computer's cache, and the plugin of Google Cloud
is the one that GCP_PLUGIN names, or a stand-in. Debian's packages and those of PyPI are fetched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from bakery import __version__, paths
from bakery.host import mirror
from tests.fake_google import agents, builds
from tests.fake_google.builds import Course
from tests.fake_google.compute import add_image
from tests.fake_google.server import FakeServer, serve
from tests.gcp import endpoints
from tests.support.root import ROOT

pytestmark = [pytest.mark.machines, pytest.mark.slow]
RELEASE, BASE, IMAGE = "bookworm", "localhost/debian:12", f"localhost/image-bakery:{__version__}"
# Limits and control groups as any computer has them: podman's own need more rights than some virtual machines give.
OPTIONS = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
LIMITS = ("--ulimit", "nofile=8192:8192", "--ulimit", "nproc=8192:8192", "--network", "host")
FROM_DEBIAN = """
sed -i 's/_SOURCE_IMAGE_FAMILY: .*/_SOURCE_IMAGE_FAMILY: debian-12/' packages/hello/cloudbuild.yaml
sed -i 's/_SOURCE_IMAGE_PROJECT: .*/_SOURCE_IMAGE_PROJECT: debian-cloud/' packages/hello/cloudbuild.yaml
sed -i '/images:shipped/d' Pulumi.dev.yaml
"""
Done = subprocess.CompletedProcess[str]
Inside = Callable[..., Done]


def done(*command: str | Path, **options: Any) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment in which podman has the image."""
    folder = tmp_path_factory.mktemp("podman")
    storage = {"driver": "overlay", "graphroot": f"{folder}/storage", "runroot": f"{folder}/run"}
    file = folder / "storage.conf"
    file.write_text("[storage]\n" + "".join(f'{key} = "{value}"\n' for key, value in storage.items()))
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(file), "BUILDAH_ISOLATION": "chroot"}
    debian = folder / "debian.tar"
    authorities = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")  # also those of a site
    sources = "\n".join(source.line() for source in mirror.of_release(RELEASE, "", {}))
    given = f"--customize-hook=upload {authorities} /etc/site-authorities.crt"
    done("mmdebstrap", "--variant=minbase", given, RELEASE, debian, "-", input=sources)
    trusted = [f"--change=ENV {name}=/etc/site-authorities.crt" for name in ("PIP_CERT", "SSL_CERT_FILE")]
    done("podman", *OPTIONS, "import", *trusted, debian, BASE, env=environment)
    debian.unlink()
    cache = paths.cache() / "engine"
    cache.mkdir(parents=True, exist_ok=True)
    options = ("--build-arg", f"BASE={BASE}", "--build-arg", "GCP_PLUGIN=", "--network", "host")
    cached = f"{cache}:/root/.cache/image-bakery/engine"
    done(ROOT / "tools/container.sh", *options, "--volume", cached, env=environment | {"CONTAINER_ENGINE": "podman"})
    return environment


@pytest.fixture(scope="module")
def inside(built: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """Return a function that runs a script in the image, as its user, with a folder of its own as /images."""
    return partial(run_in, built, writable(tmp_path_factory.mktemp("images")))


def writable(folder: Path) -> Path:
    """Let the image's user write to a folder."""
    os.chown(folder, 1000, 1000)
    folder.parent.chmod(0o755)
    return folder


def run_in(built: dict[str, str], folder: Path, script: str, *options: str) -> Done:
    """Run a script in the image; ``folder`` is /images there."""
    mounts = ("--volume", f"{folder}:/images", "--volume", "image-bakery-cache:/home/bakery/.cache")
    variables = ("--env", "PULUMI_CONFIG_PASSPHRASE=x", "--env", "PULUMI_BACKEND_URL=file:///images")
    command = ["podman", *OPTIONS, "run", "--rm", *LIMITS, *mounts, *variables, *options, IMAGE, "bash", "-ec", script]
    return subprocess.run(command, env=built, capture_output=True, text=True, check=False)


def test_it_says_what_it_is_and_runs_as_an_ordinary_user(built: dict[str, str], inside: Inside) -> None:
    (image,) = json.loads(done("podman", "image", "inspect", IMAGE, env=built))
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in image["Labels"].items()}
    revision = done("git", "rev-parse", "HEAD", cwd=ROOT).strip()
    assert (labels["version"], labels["revision"], labels["title"]) == (__version__, revision, "Image Bakery")
    assert image["User"] == "1000"
    who = inside("id --user; touch /opt/bakery/x").stdout.split()
    assert who == ["1000"]


def test_an_ordinary_user_goes_from_nothing_to_tested_images(
    inside: Inside, record_testsuite_property: Callable[[str, object], None]
) -> None:
    made = inside("bakery init . --name images")
    assert made.returncode == 0, made.stderr
    doctor = inside("bakery doctor")
    assert (doctor.returncode, "nothing is missing" in doctor.stdout) == (0, True), doctor.stdout
    plan = json.loads(inside("bakery plan --json").stdout)
    assert [(image["family"], image["action"]) for image in plan["images"]] == [
        ("rcc-debian", "bake"),
        ("hello", "bake"),
    ]
    preview = inside("pulumi stack init dev && pulumi preview --non-interactive")
    assert preview.returncode == 0, preview.stdout + preview.stderr
    assert "baked: hello has no image yet" in preview.stdout
    began = time.monotonic()
    up = inside("pulumi up --yes --skip-preview --non-interactive --stack dev")
    record_testsuite_property("up", round(time.monotonic() - began, 1))
    assert up.returncode == 0, up.stdout[-4000:] + up.stderr[-4000:]
    library = json.loads(inside("bakery library --json").stdout)
    proven = {image["name"]: (image["family"], image["proof"], image["verdict"]) for image in library["images"]}
    families = library["families"]
    assert set(families) == {"rcc-debian", "hello"}
    assert proven == {families[family]: (family, "passed", "passed") for family in ("rcc-debian", "hello")}


def provider(folder: Path) -> Path:
    """The plugin of Google Cloud that GCP_PLUGIN names, or its stand-in, with all that it imports."""
    program = folder / "pulumi-resource-gcp"
    if given := os.environ.get("GCP_PLUGIN"):
        shutil.copy(given, program)
    else:
        for name in ("provider.py", "kinds.py"):
            shutil.copy(ROOT / "tests" / "gcp" / name, folder)
        program.write_text('#!/bin/sh\nexec python /provider/provider.py "$@"\n')
    for path in (program, folder):
        path.chmod(0o755)
    return folder


def cloud_stack(folder: Path, server: FakeServer) -> None:
    """Write the settings of a stack ``gcp`` in the fake cloud, which has the base image."""
    base = {"name": "debian-12-bookworm-v20260101", "family": "debian-12"}
    add_image(server.cloud, "compute/compute/v1/projects/debian-cloud/global/images", base)
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    settings = {"images:oven": "cloud-build", "images:google": google, **endpoints.settings(server.url)}
    (folder / "Pulumi.gcp.yaml").write_text(yaml.safe_dump({"config": settings}))


def test_a_gcp_stack_is_planned_previewed_and_brought_up(
    built: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = writable(tmp_path_factory.mktemp("cloud"))
    mount = f"{provider(tmp_path_factory.mktemp('provider'))}:/provider:ro"
    with serve() as server:
        agents.obey(server.cloud)
        builds.script(server.cloud, lambda _build: Course(seconds=0.2))
        variables = [f"--env={name}={text}" for name, text in endpoints.environment(server.url).items()]

        def inside(script: str) -> str:
            path = "PATH=/provider:$PATH"
            ended = run_in(built, folder, f"export {path}\n{script}", "--volume", mount, *variables)
            assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
            return ended.stdout

        no_figures = "sed -i '/metrics:/,$d' packages/hello/fluidrun.yaml"  # machines of the fake print nothing
        inside(f"bakery init . --name images\n{FROM_DEBIAN}\n{no_figures}")
        cloud_stack(folder, server)
        os.chown(folder / "Pulumi.gcp.yaml", 1000, 1000)
        inside("bakery lock --stack gcp")
        plan = json.loads(inside("bakery plan --json --stack gcp"))
        assert [(image["family"], image["action"]) for image in plan["images"]] == [("hello", "bake")]
        preview = inside("pulumi stack init gcp && pulumi preview --non-interactive --stack gcp")
        assert "baked: hello has no image yet" in preview
        inside("pulumi up --yes --skip-preview --non-interactive --stack gcp")
        library = json.loads(inside("bakery library --json --stack gcp"))
        assert library["families"] == {"hello": plan["images"][0]["name"]}
        assert [image["verdict"] for image in library["images"]] == ["passed"]
        assert server.cloud.violations == []
