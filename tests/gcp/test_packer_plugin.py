"""Packer's real googlecompute plugin, with the template that a bake hands to Cloud Build, against the fake.

No machine boots, so nothing is provisioned; all requests are Packer's own, and the role of ``bakery-bake`` has to cover
them.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import BakeFailed, BakeStopped
from bakery.host.google import Google
from bakery.lock import file as lock_file
from bakery.lock.model import Lock, Place
from bakery.operations.bake import planned
from bakery.orders.model import BakeOrder, bake_order
from bakery.ovens import stops
from bakery.ovens.base import DebugTerms
from bakery.ovens.cloud_build import machines as bake_machines
from bakery.ovens.cloud_build.debug_oven import DebugOven
from bakery.ovens.cloud_build.request import PLUGIN_VERSION, packer_template
from bakery.progress.activity import Activity
from bakery.recipe.plugins import BUILDERS, VERSION
from bakery.settings import Settings, parse
from tests.fake_google import builds, compute
from tests.fake_google.builds import Course
from tests.fake_google.refusals import keys
from tests.fake_google.server import FakeServer, serve
from tests.support import built_packer
from tests.support.plan_builders import BASE
from tests.support.root import ROOT

pytestmark = pytest.mark.slow

BUILD = "0a1b2c3d-0000-4000-8000-000000000001"
ZONE = "compute/compute/v1/projects/p/zones/us-central1-a"
APIS = {"compute": "compute/compute/v1/", "oslogin": "oslogin/", "oauth2": "oauth2/", "storage": "storage/storage/v1/"}
BASES = "compute/compute/v1/projects/debian-cloud/global/images"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        base = {"name": BASE.name, "family": "debian-12", "guestOsFeatures": [{"type": "UEFI_COMPATIBLE"}]}
        compute.add_image(running.cloud, BASES, base)
        yield running
        assert running.cloud.violations == []


def settings(server: FakeServer, **words: str) -> Settings:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url, **words}
    return parse({"oven": "cloud-build", "google": google}, "gcp", ROOT)


def packer(server: FakeServer, folder: Path, settings: Settings) -> subprocess.Popen[str]:
    """Packer, as the step of rcc-debian's build runs it, but for where Google is and for going into the machine."""
    template = packer_template(rcc_debian(folder, settings), settings.google, "us-central1-a")
    return build(server, folder, {**template, "provisioners": []})


def rcc_debian(folder: Path, settings: Settings) -> BakeOrder:
    lock = folder / "bakery.lock"
    lock_file.write(lock, Lock({Place.GOOGLE: {"debian-cloud/debian-12": BASE}}))
    return bake_order(planned(replace(settings, lock=lock), ["rcc-debian"])[0])


def build(server: FakeServer, folder: Path, template: Any, *options: str) -> subprocess.Popen[str]:
    (builder,) = template["builders"]
    builder |= {"custom_endpoints": {name: f"{server.url}/{path}" for name, path in APIS.items()}, "access_token": "x"}
    builder |= {"communicator": "none", "use_iap": False}
    del builder["ssh_username"]
    file = folder / "packer.json"
    file.write_text(json.dumps(template))
    environment = {**os.environ, "PACKER_PLUGIN_PATH": str(folder / "plugins"), "CHECKPOINT_DISABLE": "1"}
    program = built_packer.with_plugin(environment)
    return subprocess.Popen(
        [program, "build", *options, "-color=false", str(file)], cwd=ROOT, env={**environment, "BAKERY_BUILD": BUILD},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def left(server: FakeServer) -> dict[str, Any]:
    kinds = (f"{ZONE}/instances/", f"{ZONE}/disks/")
    return {key.removeprefix(f"{ZONE}/"): item for key, item in server.cloud.items.items() if key.startswith(kinds)}


@pytest.mark.parametrize("key", ["", keys.KEY], ids=["Google's key", "own key"])
def test_a_bake_ends_with_the_image_and_nothing_else(server: FakeServer, tmp_path: Path, key: str) -> None:
    keys.authorize(server.cloud, keys.KEY)
    running = packer(server, tmp_path, settings(server, kmsKey=key))
    said, _ = running.communicate(timeout=120)
    assert running.returncode == 0, said
    (image,) = [item for name, item in server.cloud.items.items() if "projects/p/global/images/" in name]
    assert image["name"].startswith("rcc-debian-") and "family" not in image
    assert image["labels"]["bakery-family"] == "rcc-debian"
    assert image.get("imageEncryptionKey", {}).get("kmsKeyName", "") == key
    assert left(server) == {}


def test_what_a_killed_packer_leaves_has_a_deadline_and_is_cleared(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.operation_seconds = 20.0
    running = packer(server, tmp_path, settings(server))
    deadline = time.monotonic() + 60
    while not left(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(running.pid, 9)
    running.communicate()
    machine = left(server)[f"instances/bake-{BUILD}"]
    scheduling = machine["scheduling"]
    assert (scheduling["maxRunDuration"], scheduling["instanceTerminationAction"]) == ({"seconds": "4200"}, "DELETE")
    assert not machine["disks"][0].get("autoDelete")

    server.cloud.operation_seconds = 0.0
    server.cloud.items[f"cloudbuild/v1/projects/p/builds/{BUILD}"] = {"id": BUILD, "status": "CANCELLED"}
    assert len(bake_machines.clear(Google(settings(server).google))) == 1
    assert left(server) == {}


def test_a_bake_that_is_debugged_ends_at_its_stop_and_leaves_its_machine_up(server: FakeServer, tmp_path: Path) -> None:
    for bucket in ("sources", "logs", "artifacts"):
        server.cloud.items[f"storage/storage/v1/b/p-bakery-{bucket}"] = {"name": f"p-bakery-{bucket}"}
    builds.script(server.cloud, lambda _build: Course(status="FAILURE"))
    stack = replace(settings(server), state=tmp_path)
    with pytest.raises(BakeFailed):
        DebugOven(stack, DebugTerms(3600, "1"), poll_seconds=0.05).bake(rcc_debian(tmp_path, stack), Activity())
    (submitted,) = server.cloud.below("cloudbuild/v1/projects/p/builds")
    (options,) = [step["args"][1:2] for step in submitted["steps"] if step["args"][0] == "build"]
    source = submitted["source"]["storageSource"]
    content = server.cloud.media[f"storage/storage/v1/b/{source['bucket']}/o/{source['object']}"]
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        (template,) = [
            json.load(tar.extractfile(one) or io.BytesIO()) for one in tar if one.name.endswith("packer.json")
        ]

    running = build(server, tmp_path, template, *options)
    said, _ = running.communicate(timeout=120)
    assert running.returncode != 0
    assert stops.reached(said, ("shell install.sh",)) == (
        BakeStopped,
        "stopped before provisioner 1 of 1 (shell install.sh)",
    ), said
    machine = left(server)[f"instances/bake-debug-{BUILD}"]
    assert machine["scheduling"]["maxRunDuration"] == {"seconds": "7800"}
    assert "bakery-owner" in machine["labels"]
    metadata = {pair["key"]: pair["value"] for pair in machine["metadata"]["items"]}
    assert "\npacker:ssh-ed25519 " in metadata["ssh-keys"], "the plugin adds its own key to that of the user"

    server.cloud.items[f"cloudbuild/v1/projects/p/builds/{BUILD}"] = {"id": BUILD, "status": "FAILURE"}
    assert bake_machines.clear(Google(stack.google)) == [], "a bake does not end what a user looks into"
    assert len(bake_machines.clear(Google(stack.google), debugged=True)) == 1
    assert left(server) == {}


def test_the_plan_knows_the_options_of_this_plugin() -> None:
    listing = ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/hashicorp/packer-plugin-googlecompute"]
    env = {**os.environ, "GOFLAGS": "-mod=mod"}
    done = subprocess.run(
        listing, cwd=ROOT / "tools/googlecompute", env=env, check=True, text=True, stdout=subprocess.PIPE
    )
    folder, known = Path(done.stdout.strip()), BUILDERS["googlecompute"]
    options, blocks = _spec(folder, "builder/googlecompute/config", "Config")
    assert (known.options - {"name", "type"}, known.blocks.keys()) == (options, blocks)
    for name, file, title in (
        ("disk_attachment", "block_device", "BlockDevice"),
        ("disk_encryption_key", "client_keys", "CustomerEncryptionKey"),
        ("image_encryption_key", "client_keys", "CustomerEncryptionKey"),
        ("node_affinity", "affinities", "NodeAffinity"),
    ):
        block = known.blocks[name]
        assert (block.options, block.blocks.keys()) == _spec(folder, f"lib/common/{file}", title), name
    assert f"v{VERSION}" == PLUGIN_VERSION


def _spec(folder: Path, file: str, title: str) -> tuple[set[str], set[str]]:
    """The names of the options of a type of the plugin, and those of its blocks."""
    text = (folder / f"{file}.hcl2spec.go").read_text(encoding="utf-8")
    body = text.partition(f"func (*Flat{title}) HCL2Spec()")[2].partition("\n}")[0]
    found = re.findall(r'^\t\t"([A-Za-z]\w*)":\s*&hcldec\.(Block)?', body, re.MULTILINE)
    assert found, file
    names = {name for name, _ in found if not name.startswith("packer_")}
    blocks = {name for name, block in found if block}
    return names - blocks, blocks
