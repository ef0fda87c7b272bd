"""``bakery test`` on fake clusters."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from bakery.codec import encode
from bakery.errors import InputError
from bakery.library.base import Proof
from bakery.library.local.library import LocalLibrary
from bakery.operations.test import order_for
from bakery.settings import from_file
from tests.fake_google import agents
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout
from tests.support.schemas import published
from tests.unit.cli.conftest import TABLE


def library(checkout: Checkout) -> LocalLibrary:
    return LocalLibrary(from_file(checkout.root, "dev"))


@pytest.fixture
def baked(checkout: Checkout) -> Checkout:
    """A checkout whose ``app`` has two tests and is baked."""
    checkout.suite("app", "app/smoke", "app/speed")
    assert checkout.invoke("bake", "app").exit_code == 0
    return checkout


def test_runs_the_tests_stores_the_run_and_shows_the_jobs(baked: Checkout) -> None:
    done = baked.invoke("test", "app")
    assert done.exit_code == 0, done.stderr
    (image,) = [one for one in library(baked).images() if one.package == "app"]
    (run,) = library(baked).runs(image.name)
    assert image.proof is Proof.PASSED
    assert Path(str(run.folder), "results.json").is_file()
    assert len(done.stdout.splitlines()) == 4, done.stdout
    smoke, speed, whole = done.stdout.splitlines()[1:]
    assert smoke.split()[:5] == ["app/smoke", "app", "debug", "2", "0"] and smoke.rstrip().endswith("passed")
    assert "speed 2.5 GB/s" in speed
    assert whole.startswith(f"{image.name}: passed, 2 of 2 jobs passed, ") and str(run.folder) in whole
    assert library(baked).families() == {}


def test_a_proof_counts_for_the_plan(baked: Checkout) -> None:
    actions = {one["family"]: one["action"] for one in json.loads(baked.invoke("plan", "--json").stdout)["images"]}
    assert actions["app"] == "test"
    baked.invoke("test", "app")
    actions = {one["family"]: one["action"] for one in json.loads(baked.invoke("plan", "--json").stdout)["images"]}
    assert actions["app"] == "adopt"


def test_a_failed_job_is_the_images_and_the_replay_works(baked: Checkout) -> None:
    baked.configure(tests={"app": {"exit_codes": {"app/speed": 3}, "stderr": {"app/speed": "no such library\n"}}})
    done = baked.invoke("test", "app", "--json")
    assert done.exit_code == 1
    run = json.loads(done.stdout)
    jsonschema.validate(run, published("results"))
    assert run["verdict"] == "failed"
    assert [job["row"]["exit_code"] for job in run["jobs"]] == [0, 3]
    assert "1 of 2 jobs failed: app/speed" in done.stderr
    assert "  | no such library" in done.stderr
    assert f"log: {run['folder']}" in done.stderr
    replay = next(line.removeprefix("replay: ") for line in done.stderr.splitlines() if line.startswith("replay: "))
    baked.configure()
    program, *arguments = replay.split()
    assert program == "bakery" and baked.invoke(*arguments).exit_code == 0


def test_a_broken_cluster_says_nothing_of_the_image(baked: Checkout) -> None:
    baked.configure(tests={"app": {"broken": 9}})
    done = baked.invoke("test", "app")
    assert done.exit_code == 1
    assert "the fake machine broke" in done.stderr and "replay: bakery test app-" in done.stderr
    (image,) = [one for one in library(baked).images() if one.package == "app"]
    assert image.proof is Proof.UNTESTED


def test_an_older_image_gets_todays_tests(baked: Checkout) -> None:
    (older,) = [one for one in library(baked).images() if one.package == "app"]
    baked.suite("app", "app/new")
    (baked.root / "packages" / "app" / "install.sh").write_text("#!/bin/bash\nfalse\n")
    done = baked.invoke("test", older.name[:-2], "--json")
    run = json.loads(done.stdout)
    assert (run["image"], [job["row"]["benchmark_name"] for job in run["jobs"]]) == (older.name, ["app/new"])


@pytest.mark.parametrize(
    ("image", "code", "words"),
    [
        ("nope", 1, "error: there is no image nope"),
        ("base", 2, "base has no tests; write a fluidrun.yaml"),
    ],
)
def test_what_cannot_be_tested_is_told(baked: Checkout, image: str, code: int, words: str) -> None:
    done = baked.invoke("test", image)
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in done.stderr


def test_the_last_order_stands_in_for_a_recipe_that_is_gone(baked: Checkout) -> None:
    settings = from_file(baked.root, "dev")
    (image,) = [one for one in library(baked).images() if one.package == "app"]
    today = order_for(image, settings)
    (baked.root / "packages" / "app").rename(baked.root / "gone")
    with pytest.raises(InputError, match="no image family app"):
        order_for(image, settings)
    (settings.state / "orders").mkdir()
    (settings.state / "orders" / f"{image.name}-x.json").write_text(json.dumps(encode(today)))
    assert order_for(image, settings) == today


def test_of_a_gcp_stack(checkout: Checkout, cloud: FakeServer) -> None:
    checkout.suite("base", "base/smoke")
    suite = checkout.root / "packages" / "base" / "fluidrun.yaml"
    suite.write_text(yaml.safe_dump({"tests": [{**JOB, "output_directory": "base/smoke"}]}))
    assert checkout.invoke("bake", "base", "--stack", "gcp").exit_code == 0
    agents.obey(cloud.cloud, {"base/smoke": 1})
    failed = checkout.invoke("test", "base", "--stack", "gcp")
    assert failed.exit_code == 1
    assert "replay: bakery test base-" in failed.stderr and " --stack gcp\n" in failed.stderr
    cloud.cloud.hooks.clear()
    agents.obey(cloud.cloud)
    done = checkout.invoke("test", "base", "--stack", "gcp")
    assert done.exit_code == 0, done.stderr
    rows = [row["json"] for row in cloud.cloud.rows[TABLE]]
    assert [(row["benchmark_name"], row["exit_code"]) for row in rows] == [("base/smoke", 1), ("base/smoke", 0)]
    assert json.loads(checkout.invoke("plan", "--json", "--stack", "gcp").stdout)["images"][0]["action"] == "adopt"


JOB = {
    "command_group": "base",
    "execution_command": "packages/base/test/run.sh",
    "partition": "debug",
    "batch_options": "--nodes=2",
}


def start_and_wait(checkout: Checkout, *arguments: str) -> tuple[subprocess.Popen[str], Path]:
    running = checkout.start("test", "app", *arguments)
    deadline = time.monotonic() + 60
    while not (folders := list((checkout.root / ".bakery" / "runs").glob("app-*"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return running, folders[0]


def test_control_c_tears_the_cluster_down(baked: Checkout) -> None:
    baked.configure(tests={"app": {"seconds": 60}})
    running, folder = start_and_wait(baked)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == 130, stderr
    assert stderr.endswith("interrupted\n")
    assert (folder / "machines" / "controller" / "console.log").is_file()
    (image,) = [one for one in library(baked).images() if one.package == "app"]
    assert image.proof is Proof.UNTESTED


def test_keep_holds_the_cluster_until_control_c_and_the_verdict_stands(baked: Checkout) -> None:
    running, _ = start_and_wait(baked, "--keep")
    lines: list[str] = []
    for line in running.stderr:
        lines.append(line)
        if "the cluster is up for 120 minutes; Ctrl-C ends it" in line:
            break
    assert "no machine to log in to" in lines[-2]
    running.send_signal(signal.SIGINT)
    stdout, _ = running.communicate(timeout=30)
    assert running.returncode == 0
    assert "passed, 2 of 2 jobs passed" in stdout
