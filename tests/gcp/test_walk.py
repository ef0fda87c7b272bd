"""The commands of docs/google.md, from an empty project to the triggers, one after the other with the real engine.

The clock of the cloud runs fast: a service works 60 of its seconds after it was enabled, a grant 120 after it was made.
All of the organisation's policies are on. No command fails, and none has to be run twice.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.contract.test_first_day import GRANT_SECONDS, PAGE, POLICIES, SERVICE_SECONDS
from tests.fake_google import builds, compute, grants
from tests.fake_google.builds import Course
from tests.gcp import endpoints
from tests.gcp.stack import Stack, declared, engine
from tests.support import workshop as shop
from tests.support.every import every
from tests.support.root import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.gcp]
SPEED = 20  # seconds of the cloud in one of ours
UP_SECONDS = 400
PROJECT = "my-project"
DEBIAN = "compute/compute/v1/projects/debian-cloud/global/images"
# What the workshop has done already, or what only a person can do.
DONE = ("gcloud auth", "gcloud config", "make setup", "source", "pulumi plugin install", "pulumi stack init")


@pytest.fixture
def stack(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with declared(tmp_path, tmp_path_factory.getbasetemp() / "gcp-home", engine()) as made:
        began, cloud = time.time(), made.server.cloud
        cloud.clock = lambda: began + SPEED * (time.time() - began)
        conditions = cloud.conditions
        conditions.caller = ""  # the project's owner
        conditions.service_seconds, conditions.grant_seconds = SERVICE_SECONDS, GRANT_SECONDS
        conditions.policies = set(POLICIES)
        conditions.locations, conditions.trusted = {"us-central1"}, {"debian-cloud"}
        conditions.connected = {"owner/name": {"us-central1"}}
        compute.add_image(cloud, DEBIAN, {"name": "debian-12-v1", "family": "debian-12"})
        builds.script(cloud, lambda _build: Course(seconds=0.2))
        made.workshop.extra["google"] = {"endpoint": made.server.url}
        for name, parent in (("rcc-debian", ""), ("hpcc", "rcc-debian")):
            file = made.workshop.recipe(name, parent) / "packer.json"
            template = json.loads(file.read_text(encoding="utf-8"))
            template["builders"][0]["enable_secure_boot"] = True  # as our own templates do
            file.write_text(json.dumps(template), encoding="utf-8")
        yield made
        assert cloud.violations == []
        assert set(cloud.strays) <= endpoints.EXPECTED_STRAYS


def commands() -> list[list[str]]:
    """The commands of the page's steps, as words."""
    steps = PAGE.partition("## From an empty project")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?ms)^```sh\n(.*?)^```", steps)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.strip()]


def run(stack: Stack, words: list[str]) -> str:
    """Run a command of the page as it is, or do what gcloud does; what it printed."""
    plain = [word for word in words if word not in ("--stack", "gcp")]
    said = " ".join(words)
    if said.startswith(DONE):
        return ""
    if said.startswith("gcloud services enable"):
        for service in plain[3:]:
            grants.enable(stack.server.cloud, service)
        return ""
    if said.startswith("gcloud builds submit"):
        return submit(stack, dict(word.removeprefix("--").split("=", 1) for word in plain[3:]))
    if said.startswith("pulumi config set --path"):
        configure(stack, *plain[4:])
        return ""
    if words[0] == "bakery":
        stack.workshop.configure()
        done = subprocess.run(
            words, cwd=stack.workshop.folder, env=stack.workshop.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{said}: {done.stdout}{done.stderr}"
        return done.stdout
    assert words[0] == "pulumi", f"what does {said} do?"
    options = ["--yes", "--skip-preview"] if plain[1] == "up" else []
    ended = stack.workshop.run(*plain[1:], *options, timeout=UP_SECONDS)
    assert ended.code == 0, f"{said}: {ended.text}"
    return ended.text


def configure(stack: Stack, key: str, value: str) -> None:
    """What ``pulumi config set --path`` writes into the stack's file."""
    name = key.removeprefix("image-bakery:")
    if name.startswith("select["):
        stack.workshop.extra.setdefault("select", []).append(value)
    else:
        group, _, name = name.partition(".")
        stack.workshop.extra[group][name] = value == "true" or value


def submit(stack: Stack, options: dict[str, str]) -> str:
    """Submit a build as gcloud does, and wait for its end; its status."""
    config = yaml.safe_load((ROOT / options["config"]).read_text(encoding="utf-8"))
    bucket, _, folder = options["gcs-source-staging-dir"].removeprefix("gs://").partition("/")
    assert f"storage/storage/v1/b/{bucket}" in stack.server.cloud.items, "the first up made it"
    given = dict(pair.split("=", 1) for pair in options["substitutions"].split(","))
    build = {
        **config,
        "substitutions": {**config["substitutions"], **given},
        "serviceAccount": options["service-account"],
        "source": {"storageSource": {"bucket": bucket, "object": f"{folder}/source.tgz"}},
    }
    url = f"{stack.server.url}/cloudbuild/v1/projects/{PROJECT}/builds"
    request = urllib.request.Request(url, json.dumps(build).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        made = json.load(answer)["metadata"]["build"]["id"]
    item = stack.server.cloud.items[f"cloudbuild/v1/projects/{PROJECT}/builds/{made}"]

    def ended() -> bool:
        stack.server.cloud.settle()
        return item["status"] in builds.DONE

    shop.wait_for(ended)
    assert item["status"] == "SUCCESS"
    return str(item["status"])


def test_each_command_of_the_page_works_at_its_first_try(stack: Stack) -> None:
    shown: dict[str, list[str]] = {}
    for words in commands():
        said = " ".join(words[:2])
        shown.setdefault(said, []).append(run(stack, words))
        if said == "pulumi preview":
            (warning,) = set(re.findall(r"bakes will fail: .*", shown[said][-1]))
            assert "compute.requireOsLogin refuses it: set google.osLogin to true" in warning
            configure(stack, "image-bakery:google.osLogin", "true")  # as it says
            assert "will fail" not in run(stack, words)
    families = {family: name for family, name in stack.families().items() if family != "debian-12"}
    assert set(families) == {"rcc-debian", "hpcc"}
    assert every(name in shown["bakery library"][-1] for name in families.values())
    assert set(families.values()) & set(re.findall(r"[\w-]+", shown["pulumi stack"][-1]))
    assert shown["gcloud builds"] == ["SUCCESS"]
    assert len(shown["pulumi up"]) == 2 and len(stack.items("/locations/us-central1/triggers/")) == 4
    bakes = [stack.server.cloud.items[key] for key in stack.items("/builds/")]
    assert sorted(build["status"] for build in bakes if "rcc-debian" in str(build.get("tags")))[-1] == "SUCCESS"
    assert any(build["status"] == "FAILURE" for build in bakes), "the first bake came before the grants worked"
