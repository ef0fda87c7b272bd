"""``bakery mirror``: what a stack fetches from other computers."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import jsonschema
import pytest

from bakery.lock import file as lock_file
from bakery.lock.model import Lock, LockedBase
from bakery.plan.address import Address, FetchKind, joined, packer_plugin
from bakery.settings import Place
from tests.support.checkout import Checkout
from tests.support.schemas import published

HEX = "ab" * 32
ORIGIN = "https://images.example/debian-12/disk.qcow2"
LOCKED = Lock().put(Place.LOCAL, "debian-cloud", "debian-12", LockedBase("debian-12-1", f"inrelease:{HEX}", "now"))
CLOUD = Lock().put(Place.LOCAL, "debian-cloud", "debian-12", LockedBase("disk-1", f"sha256:{HEX}", "now", ORIGIN))


def listed(checkout: Checkout) -> dict[str, list[dict[str, Any]]]:
    """What ``bakery mirror list --json`` prints, which follows the schema, by kind."""
    done = checkout.run("mirror", "list", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    jsonschema.validate(report, published("addresses"))
    assert report["stack"] == "dev"
    found: dict[str, list[dict[str, Any]]] = {}
    for one in report["addresses"]:
        found.setdefault(one["kind"], []).append(one)
    return found


@pytest.fixture
def local(checkout: Checkout) -> Checkout:
    lock_file.write(checkout.root / "bakery.lock", LOCKED)
    script = "#!/bin/bash\n# see https://docs.example/\ncurl -O https://dl.example/app-$VERSION.tar.gz\n"
    script += "case $1 in http://*) curl http://127.0.0.1:80/x http://10.0.2.2:1/y ;; esac\n"
    (checkout.root / "packages/app/install.sh").write_text(script)
    hashes = " \\\n".join(f"    --hash=sha256:{one}" for one in (HEX, "cd" * 32))
    pins = f"one[x]==1.2 ; python_version < '4' \\\n{hashes}\n    # via x\ntwo==3\n"
    (checkout.root / "requirements.lock").write_text(pins)
    return checkout


def test_a_repository_without_a_lock_file_has_what_its_requirements_and_theirs_are_installed_as(
    checkout: Checkout,
) -> None:
    (checkout.root / "requirements.txt").write_text(
        f"# of ours\nimage-bakery[gcp] == 0.1.0\nours==1.0 --hash=sha256:{HEX}\n"
    )
    found = {one["url"]: one for one in listed(checkout)["pypi"]}
    ours, pulumi = found["pkg:pypi/ours@1.0"], found[f"pkg:pypi/pulumi@{version('pulumi')}"]
    assert (ours["checksums"], ours["used_by"]) == ([f"sha256:{HEX}"], ["requirements.txt"])
    assert (pulumi["checksums"], pulumi["used_by"]) == ([], ["image-bakery"])
    assert f"pkg:pypi/google-cloud-build@{version('google-cloud-build')}" in found
    assert f"pkg:pypi/protobuf@{version('protobuf')}" in found, "which pulumi requires"
    assert [one for one in found if "pytest" in one] == [], "which no one asked for"
    text = "\ufeffones==1.0; python_version<'4' # caf".encode() + b"\xe9\nothers==2,!=3\n"
    (checkout.root / "requirements.txt").write_bytes(text)
    assert {"pkg:pypi/ones@1.0", "pkg:pypi/others@2"} <= {one["url"] for one in listed(checkout)["pypi"]}
    (checkout.root / "requirements.txt").unlink()
    bare = {one["url"] for one in listed(checkout)["pypi"]}
    assert f"pkg:pypi/pulumi@{version('pulumi')}" in bare
    assert [one for one in bare if "google-cloud-build@" in one] == [], "which only the extra requires"


def test_addresses_have_versions_and_checksums(local: Checkout) -> None:
    apt = {"http://a.example/debian": "http://m.example/d"}
    mirrors = {"apt": apt, "packerPlugins": "https://m.example/gh", "pypi": "https://m.example/simple"}
    local.settings(oven="local", mirrors=mirrors)
    found = listed(local)
    index = next(one for one in found["apt"] if one["url"] == "http://a.example/debian/dists/bookworm/InRelease")
    assert index["mirror"] == "http://m.example/d/dists/bookworm/InRelease"
    assert (index["version"], index["checksums"]) == ("debian-12-1", [f"sha256:{HEX}"])
    assert index["used_by"] == ["debian-cloud/debian-12"]
    [plugin] = found["packerPlugins"]
    assert plugin["mirror"].startswith("https://m.example/gh/hashicorp/packer-plugin-qemu/releases/download/v")
    assert [(one["url"], one["mirror"], len(one["checksums"])) for one in found["pypi"]] == [
        ("pkg:pypi/one@1.2", "https://m.example/simple/one/", 2),
        ("pkg:pypi/two@3", "https://m.example/simple/two/", 0),
    ]
    [download] = found["recipe"]
    assert download["url"] == "https://dl.example/app-$VERSION.tar.gz"
    assert download["used_by"] == ["packages/app/install.sh:3"]
    assert "-linux-" in found["pulumiPlugins"][0]["url"]


def test_a_cloud_image_has_its_checksum(local: Checkout) -> None:
    lock_file.write(local.root / "bakery.lock", CLOUD)
    local.settings(oven="local", mirrors={"cloudImages": {"https://images.example": "http://m.example/images"}})
    [image] = listed(local)["cloudImages"]
    assert (image["url"], image["checksums"]) == (ORIGIN, [f"sha256:{HEX}"])
    assert image["mirror"] == "http://m.example/images/debian-12/disk.qcow2"


def test_builds_on_google_cloud_fetch_images_of_steps(local: Checkout) -> None:
    google = {"project": "p", "region": "us-central1"}
    local.settings(oven="cloud-build", google=google, mirrors={"containers": {"docker.io": "m.example/docker"}})
    found = listed(local)
    images = {one["url"].partition(":")[0]: one for one in found["containers"]}
    assert images["hashicorp/packer"]["mirror"].startswith("m.example/docker/hashicorp/packer:")
    assert images["hashicorp/packer"]["checksums"][0].startswith("sha256:")
    assert images["gcr.io/google.com/cloudsdktool/google-cloud-cli"]["used_by"] == ["base", "app"]
    assert any("packer-plugin-googlecompute" in one["url"] for one in found["packerPlugins"])
    assert any("pulumi-resource-gcp" in one["url"] for one in found["pulumiPlugins"])


def test_a_table_shows_where_each_is_fetched(local: Checkout) -> None:
    local.settings(oven="local", mirrors={"packerPlugins": "https://m.example/gh"})
    done = local.run("mirror", "list")
    assert done.returncode == 0, done.stderr
    title, *lines = done.stdout.splitlines()
    assert title.split() == ["kind", "version", "checksum", "address", "used", "by"]
    assert any("https://m.example/gh/hashicorp" in line for line in lines)
    assert any("sha256:abababababab and 1 more" in line for line in lines)


def test_a_base_that_is_not_locked_says_what_to_do(local: Checkout) -> None:
    lock_file.write(local.root / "bakery.lock", Lock())
    local.settings(oven="local")
    done = local.run("mirror", "list")
    assert done.returncode != 0
    assert "debian-cloud/debian-12 is not locked" in done.stderr
    assert "bakery lock" in done.stderr


def test_an_address_is_listed_once_with_all_that_use_it() -> None:
    one, two = (Address(FetchKind.RECIPE, "https://a.example", used_by=(name,)) for name in ("x", "y"))
    assert joined([two, one, two]) == (one._replace(used_by=("y", "x")),)


def test_a_plugin_of_a_range_of_versions_is_a_list_of_releases() -> None:
    found = packer_plugin("github.com/hashicorp/ansible", "~> 1", "")
    assert found.url == "https://github.com/hashicorp/packer-plugin-ansible/releases"
    assert packer_plugin("github.com/o/n", "1.2.3", "").url.endswith(
        "/download/v1.2.3/packer-plugin-n_v1.2.3_SHA256SUMS"
    )


def test_variables_for_set_up(local: Checkout) -> None:
    local.settings(oven="local", proxy="http://p.example:3128", mirrors={"pulumiPlugins": "https://m.example/pulumi"})
    done = local.run("mirror", "env")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "export https_proxy=http://p.example:3128" in lines
    assert lines[-1] == "export PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES='.*=https://m.example/pulumi/releases/plugins'"


@pytest.mark.parametrize("words", [("fill",), ("list", "DIR")])
def test_only_fill_has_a_folder(local: Checkout, words: tuple[str, ...]) -> None:
    done = local.run("mirror", *words)
    assert done.returncode == 2
    assert "bakery mirror fill DIR" in done.stderr
