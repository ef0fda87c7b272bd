"""The gcp stack against the fake Google Cloud: preview, up, no-op, edit, refresh, destroy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.engine import workshop as shop
from tests.engine.workshop import Workshop
from tests.fake_google import agents, builds
from tests.fake_google.builds import Course
from tests.fake_google.server import FakeServer, serve
from tests.gcp import endpoints

pytestmark = [pytest.mark.engine, pytest.mark.gcp]
HERE = Path(__file__).parent
UP_SECONDS = 400


@dataclass
class Stack:
    """A checkout with a gcp stack, and the cloud it is declared in."""

    workshop: Workshop
    server: FakeServer

    def items(self, part: str) -> list[str]:
        """The cloud's resources whose path holds ``part``, in order."""
        return sorted(key for key in self.server.cloud.items if part in key)

    def families(self) -> dict[str, str]:
        found = {}
        for key in self.items("/global/images/"):
            image = self.server.cloud.items[key]
            if image.get("family") and "deprecated" not in image:
                found[image["family"]] = image["name"]
        return found


@pytest.fixture
def stack(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    engine = shutil.which("pulumi")
    assert engine, "there is no pulumi on PATH: run `make setup`"
    made = shop.make(tmp_path / "checkout", tmp_path_factory.getbasetemp() / "gcp-home", str(Path(engine).parent))
    made.stack = "gcp"
    made.env["PATH"] = os.pathsep.join([str(plugin_folder(tmp_path)), made.env["PATH"]])
    made.env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    lock_base(made.folder / "bakery.lock")
    with serve() as server:
        made.extra = {
            "oven": "cloud-build",
            "google": {
                "project": "p",
                "region": "us-central1",
                "repository": "owner/name",
                "endpoint": server.url,
            },
        }
        made.provider = endpoints.settings(server.url)
        made.env |= endpoints.environment(server.url)
        builds.script(server.cloud, lambda _build: Course(seconds=0.2))
        agents.obey(server.cloud)
        made.recipe("base")
        made.recipe("app", parent="base")
        yield Stack(shop.init(made), server)
        assert server.cloud.violations == []
        assert set(server.cloud.strays) <= endpoints.EXPECTED_STRAYS


def plugin_folder(tmp_path: Path) -> Path:
    """A folder with the provider: the one that GCP_PLUGIN names, or the stand-in."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    program = folder / "pulumi-resource-gcp"
    if os.environ.get("GCP_PLUGIN"):
        program.symlink_to(Path(os.environ["GCP_PLUGIN"]).resolve())
    else:
        python = shop.ROOT / ".venv" / "bin" / "python"
        program.write_text(f'#!/bin/sh\nexec "{python}" "{HERE / "provider.py"}" "$@"\n')
        program.chmod(0o755)
    return folder


def lock_base(file: Path) -> None:
    """Know the external base image on Google Cloud too."""
    content = yaml.safe_load(file.read_text()) or {}
    content.setdefault("google", {})["debian-cloud/debian-12"] = {
        "name": "debian-12-bookworm-v1",
        "identity": "id:1",
        "resolved": "2026-01-01T00:00:00Z",
    }
    file.write_text(yaml.safe_dump(content))


def up(stack: Stack) -> None:
    """``pulumi up``; the real provider waits seconds for every grant to be there, one after the other."""
    done = stack.workshop.run("up", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert done.code == 0, done.text


def changes(stack: Stack) -> dict[str, str]:
    """What a preview would do with any resource, those of pulumi-gcp too: URN to operation."""
    done = stack.workshop.run("preview", "--json", "--diff")
    assert done.code == 0, done.text
    steps = json.loads(done.text[done.text.index("{") :])["steps"]
    return {step["urn"]: f"{step['op']} {step.get('detailedDiff')}" for step in steps if step["op"] != "same"}


def test_from_nothing_to_promoted_images_and_back(stack: Stack) -> None:
    shown = stack.workshop.preview()
    assert shown.code == 0, shown.text
    assert "BakedImage" in shown
    assert stack.items("") == [key for key in stack.items("") if key == "course"], "a preview makes nothing"

    up(stack)
    families = stack.families()
    assert set(families) == {"base", "app"}
    assert len(stack.items("/triggers/")) == 4
    buckets = {key.rpartition("/")[2] for key in stack.items("storage/v1/b/") if "/o/" not in key}
    assert buckets == {"p-bakery-sources", "p-bakery-logs", "p-bakery-artifacts", "p-bakery-spack-cache"}
    assert len(stack.server.cloud.rows[next(iter(stack.server.cloud.rows))]) == 2
    assert not stack.items("/instances/")

    again = stack.workshop.preview()
    assert again.code == 0, again.text
    assert "unchanged" in again
    assert changes(stack) == {}

    refreshed = stack.workshop.run("refresh", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert refreshed.code == 0, refreshed.text
    assert changes(stack) == {}, "what Google adds by itself is no change"

    stack.workshop.write("packages/app/install.sh", "#!/bin/bash\necho changed\n")
    shown = stack.workshop.preview("--diff")
    assert "install.sh" in shown
    assert set(stack.workshop.steps()) >= {"BakedImage app"}
    assert "BakedImage base" not in stack.workshop.steps()
    up(stack)
    assert stack.families()["app"] != families["app"]
    assert stack.families()["base"] == families["base"]
    old = stack.server.cloud.items[next(key for key in stack.items("/global/images/") if families["app"] in key)]
    assert old["deprecated"]["state"] == "DEPRECATED"

    gone = stack.workshop.run("destroy", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert gone.code != 0, "buckets with results in them, and a protected table, are not destroyed in passing"
    assert len(stack.items("/global/images/")) == 3


def test_an_image_that_a_colleague_baked_is_adopted(stack: Stack) -> None:
    up(stack)
    submitted = len(stack.items("/builds/"))
    stack.workshop.run(
        "state", "delete", "--yes", "--target-dependents", stack.workshop.resources("BakedImage")[0]["urn"]
    )
    up(stack)
    assert len(stack.items("/builds/")) == submitted
