"""``bakery adopt``: images that were made elsewhere are tested, pinned and promoted like those that were baked."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.backends.base import Backend
from bakery.errors import BakeryError, InfrastructureFailed, UnknownFamily
from bakery.library import revocation
from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.operations.adopt import adopt
from bakery.preview.drift import Observed, compare
from bakery.settings import Settings, from_file
from tests.fake_google import compute
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout
from tests.unit.cli.conftest import checkout, cloud

__all__ = ["checkout", "cloud"]  # fixtures
IMAGES = "compute/compute/v1/projects/{}/global/images"
CANDIDATE = ImageRecord("", "", "app", "", "app", "2026-01-01T00:00:00Z")


@pytest.fixture(params=["local", "fake", "compute-engine"])
def given(request: pytest.FixtureRequest, checkout: Checkout, cloud: FakeServer) -> tuple[Backend, str]:
    """A back end, and an image that was made elsewhere."""
    if request.param == "compute-engine":
        compute.add_image(cloud.cloud, IMAGES.format("p"), {"name": "golden", "family": "app"})
        return backend(from_file(checkout.root, "gcp")), "golden"
    checkout.settings("dev", oven=request.param)
    file = checkout.root / "golden.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(file), "1M"], check=True)
    return backend(from_file(checkout.root, "dev")), str(file)


def test_an_adopted_image_is_an_untested_candidate_until_it_has_passed(given: tuple[Backend, str]) -> None:
    chosen, source = given
    image = adopt(chosen, source, "app")
    library = chosen.library()
    found = library.find(image.name)
    assert found is not None
    assert (found.package, found.candidate_for, found.family) == ("app", "app", "")
    assert (found.state, found.proof) == (ImageState.ACTIVE, Proof.UNTESTED)
    assert image.name == f"app-{found.digest[:12]}"
    assert found.labels["bakery-adopted-from"].startswith("golden")
    assert adopt(chosen, source, "app").name == image.name, "again: nothing changes"
    assert [one.name for one in library.images()] == [image.name]
    library.record_test(image.name, Proof.PASSED, "tests")
    library.promote(image.name, "app")
    assert dict(library.families()) == {"app": image.name}


def test_an_image_of_the_library_keeps_its_digest_and_is_revoked_with_the_first(given: tuple[Backend, str]) -> None:
    chosen, source = given
    library, first = chosen.library(), adopt(chosen, source, "app")
    again = chosen.adopt(first.location, replace(CANDIDATE, candidate_for="other"))
    assert (again.name, again.digest) == (f"other-{first.digest[:12]}", first.digest)
    assert chosen.adopt(again.location, CANDIDATE).name == first.name, "it is there"
    revocation.revoke(library, first.name, "an old kernel", library.now())
    revocation.enforce(library)
    assert {image.name: image.state for image in library.images()} == dict.fromkeys(
        (first.name, again.name), ImageState.OBSOLETE
    )


def test_drift_does_not_call_it_untracked(given: tuple[Backend, str]) -> None:
    chosen, source = given
    adopt(chosen, source, "app")
    held = chosen.library().listing()
    records = {image.name: image for image in held.images}
    families = {} if held.strangers else held.families  # the family still points at what was adopted
    assert compare(Observed("p/dev", records, families, strangers=held.strangers)) == ()


def test_an_unknown_family_and_a_missing_image_are_errors(given: tuple[Backend, str]) -> None:
    chosen, source = given
    with pytest.raises(UnknownFamily, match="no image family nothing"):
        adopt(chosen, source, "nothing")
    with pytest.raises(BakeryError, match="there is no"):
        adopt(chosen, source.replace("golden", "other"), "app")
    assert list(chosen.library().images()) == []


def test_the_command_says_what_comes_next_and_a_pin_takes_the_image(checkout: Checkout) -> None:
    checkout.suite("app", "app/smoke")
    (checkout.root / "golden").write_text("{}")
    done = checkout.invoke("adopt", "golden", "app")
    assert done.exit_code == 0, done.stderr
    name = done.stdout.split()[0]
    refused = checkout.invoke("promote", "app", name)
    assert refused.exit_code == 2 and "is untested" in refused.stderr
    assert checkout.invoke("test", name).exit_code == 0
    assert checkout.invoke("promote", "app", name).exit_code == 0
    assert f"{name} was adopted from golden" in checkout.invoke("library").stdout
    (image,) = json.loads(checkout.invoke("library", "--json").stdout)["images"]
    assert image["labels"]["bakery-adopted-from"] == "golden"


def of(make_settings: Callable[..., Settings], tmp_path: Path, content: bytes) -> tuple[Backend, str]:
    file = tmp_path / "given"
    file.write_bytes(content)
    return backend(make_settings(oven="local")), str(file)


def test_a_raw_disk_is_converted_and_the_file_stays(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    content = bytes(510) + b"\x55\xaa" + bytes(1 << 20)
    chosen, source = of(make_settings, tmp_path, content)
    image = chosen.adopt(source, CANDIDATE)
    assert Path(image.location).read_bytes().startswith(b"QFI\xfb")
    assert Path(source).read_bytes() == content
    assert [file.suffix for file in Path(image.location).parent.iterdir() if file.name.startswith(".")] == []


@pytest.mark.parametrize("content", [b"no disk", b"QFI\xfb" + bytes(600), b"KDMV" + bytes(600)])
def test_another_format_and_a_damaged_file_are_refused(
    make_settings: Callable[..., Settings], tmp_path: Path, content: bytes
) -> None:
    chosen, source = of(make_settings, tmp_path, content)
    with pytest.raises(InfrastructureFailed, match=r"is not a disk image|is damaged"):
        chosen.adopt(source, CANDIDATE)
    assert list(chosen.library().images()) == []
    assert list((tmp_path / ".bakery").rglob("*.writing*")) == []


def test_an_overlay_is_refused(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    base = tmp_path / "base"
    for command in (["create", "-q", "-f", "qcow2", str(base), "1M"],):
        subprocess.run(["qemu-img", *command], check=True)
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(overlay)], check=True
    )
    with pytest.raises(InfrastructureFailed, match="refers to another file"):
        backend(make_settings(oven="local")).adopt(str(overlay), CANDIDATE)


def google(make_settings: Callable[..., Settings], server: FakeServer) -> Backend:
    values = {"project": "p", "region": "us-central1", "endpoint": server.url}
    return backend(make_settings(oven="cloud-build", google=values))


def test_an_image_of_another_project_is_copied_and_not_changed(
    make_settings: Callable[..., Settings], cloud: FakeServer
) -> None:
    theirs = compute.add_image(cloud.cloud, IMAGES.format("other"), {"name": "golden", "family": "theirs"})
    before = dict(theirs)
    image = google(make_settings, cloud).adopt("projects/other/global/images/golden", CANDIDATE)
    made = cloud.cloud.items[f"{IMAGES.format('p')}/{image.name}"]
    assert made["sourceImage"].endswith("projects/other/global/images/golden")
    assert "family" not in made
    assert theirs == before


def test_an_image_that_is_not_shared_with_the_project_is_uncertain(
    make_settings: Callable[..., Settings], cloud: FakeServer
) -> None:
    compute.add_image(cloud.cloud, IMAGES.format("other"), {"name": "golden"})
    cloud.cloud.conditions.closed.add("other")
    with pytest.raises(BakeryError, match=r"Required 'compute\.images\.get' permission"):
        google(make_settings, cloud).adopt("projects/other/global/images/golden", CANDIDATE)


def test_a_name_that_another_image_has_is_an_error(make_settings: Callable[..., Settings], cloud: FakeServer) -> None:
    compute.add_image(cloud.cloud, IMAGES.format("p"), {"name": "golden"})
    chosen = google(make_settings, cloud)
    name = chosen.adopt("golden", CANDIDATE).name
    cloud.cloud.items[f"{IMAGES.format('p')}/{name}"]["labels"] = {}
    with pytest.raises(BakeryError, match=f"there is another image {name}"):
        chosen.adopt("golden", CANDIDATE)
    with pytest.raises(BakeryError, match="is not an image of Compute Engine"):
        chosen.adopt("gs://bucket/golden.tar.gz", CANDIDATE)
