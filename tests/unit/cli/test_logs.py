"""``bakery logs`` and ``bakery prune``, on this machine and of a gcp stack."""

from __future__ import annotations

import json

from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.results.model import RunResult, Verdict
from bakery.settings import from_file
from tests.fake_google import builds
from tests.fake_google.builds import Course
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout


def test_logs_of_a_bake_on_this_machine(checkout: Checkout) -> None:
    assert checkout.invoke("bake", "base").exit_code == 0
    done = checkout.invoke("logs", "base")
    assert done.stdout.startswith("fake: booting\n")
    assert "/.bakery/logs/base-" in done.stderr
    assert checkout.invoke("logs", "base", "--paths").stdout == ""


def test_logs_of_a_build_and_its_runs(checkout: Checkout, cloud: FakeServer) -> None:
    builds.script(cloud.cloud, lambda _build: Course(log=("one", "two")))
    assert checkout.invoke("bake", "base", "--stack", "gcp").exit_code == 0
    library = ComputeEngineLibrary(from_file(checkout.root, "gcp"))
    (image,) = library.images()
    library.record_run(RunResult("run-1", image.name, "t", Verdict.FAILED, "2026-01-01T00:00:00Z", reason="too slow"))
    done = checkout.invoke("logs", "base", "--stack", "gcp")
    assert (done.exit_code, done.stdout) == (0, "one\ntwo\n")
    assert f"bake of {image.name}: https://console.cloud.google.com/" in done.stderr
    assert "Fluid-Run run-1 of 2026-01-01T00:00:00Z: failed: too slow\n" in done.stderr
    assert f"  gs://p-bakery-artifacts/results/{image.name}/run-1.json" in done.stderr
    assert checkout.invoke("logs", image.name[:-3], "--stack", "gcp", "--paths").stdout == ""


def test_what_a_build_brought_back_stands_by_its_log(checkout: Checkout, cloud: FakeServer) -> None:
    file = checkout.root / "packages/base/packer.json"
    template = json.loads(file.read_text())
    lock = {"type": "file", "direction": "download", "source": "/opt/spack.lock", "destination": "base/spack.lock"}
    file.write_text(json.dumps({**template, "provisioners": [*template["provisioners"], lock]}))
    assert checkout.invoke("bake", "base", "--stack", "gcp").exit_code == 0
    (image,) = ComputeEngineLibrary(from_file(checkout.root, "gcp")).images()
    done = checkout.invoke("logs", "base", "--stack", "gcp", "--paths")
    assert f"/kept/{image.name}/spack.lock\n" in done.stderr


def test_logs_of_a_build_that_failed(checkout: Checkout, cloud: FakeServer) -> None:
    builds.script(cloud.cloud, lambda _build: Course(status="FAILURE", log=("no such package",)))
    failed = checkout.invoke("bake", "base", "--stack", "gcp", "--json")
    name = failed.stdout.partition('"name": "')[2].partition('"')[0]
    assert checkout.invoke("logs", name, "--stack", "gcp").stdout == "no such package\n"
    unknown = checkout.invoke("logs", "nothing", "--stack", "gcp")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "there is no image nothing" in unknown.stderr


def test_prune_deletes_what_is_old_on_google_cloud(checkout: Checkout, cloud: FakeServer) -> None:
    library = ComputeEngineLibrary(from_file(checkout.root, "gcp"))
    for text in ("one", "two"):
        (checkout.root / "packages/base/install.sh").write_text(f"echo {text}\n")
        assert checkout.invoke("bake", "base", "--stack", "gcp").exit_code == 0
    old, new = (image.name for image in library.images())
    assert library.deprecate(old, new)
    young = checkout.invoke("prune", "--stack", "gcp")
    assert f"{old}: kept: not old enough: OBSOLETE in 30 days\n" in young.stdout
    item = cloud.cloud.items[f"compute/compute/v1/projects/p/global/images/{old}"]
    item["deprecated"]["deprecated"] = "2026-01-01T00:00:00Z"
    would = checkout.invoke("prune", "--stack", "gcp", "--dry-run")
    assert (would.exit_code, f"{old}: DELETED: " in would.stdout) == (0, True)
    assert len(library.images()) == 2
    assert checkout.invoke("prune", "--stack", "gcp").exit_code == 0
    assert [image.name for image in library.images()] == [new]


def test_prune_deletes_nothing_while_it_is_not_known_what_the_recipes_want(checkout: Checkout) -> None:
    (checkout.root / "packages/base/packer.json").write_text("{")
    done = checkout.run("prune")
    assert (done.returncode, done.stdout) == (2, "")
    assert "packages/base/packer.json:1: error: " in done.stderr


def test_prune_of_nothing(checkout: Checkout) -> None:
    assert checkout.invoke("prune", "--dry-run").stdout == "0.0 GB would be free\n"
