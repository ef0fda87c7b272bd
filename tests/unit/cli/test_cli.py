"""The command line as a user has it: a process of its own, in a checkout made for the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

import bakery
from bakery.lock import file as lock_file
from bakery.lock.model import Lock, Place
from tests.support.checkout import COMMAND, ROOT, Checkout, make
from tests.support.plan_builders import BASE


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return make(tmp_path)


def test_plan_json_is_as_its_schema_says(checkout: Checkout) -> None:
    done = checkout.run("plan", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    jsonschema.validate(found, json.loads(files("bakery.report").joinpath("schemas/plan.schema.json").read_text()))
    assert [(image["family"], image["parent"], image["action"]) for image in found["images"]] == [
        ("base", "", "bake"),
        ("app", "base", "bake"),
    ]
    assert not (checkout.root / ".bakery").exists(), "a plan changes nothing"


def test_the_version_is_printed_anywhere(tmp_path: Path) -> None:
    done = Checkout(tmp_path).run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"image-bakery {bakery.__version__}\n", "")


def test_plan_as_table_and_as_comment(checkout: Checkout) -> None:
    table = checkout.run("plan")
    assert "2 images: 2 baked" in table.stdout
    assert "app has no image yet" in table.stdout
    assert checkout.run("plan", "--markdown").stdout.startswith("<!-- image-bakery plan -->\n### 2 images: 2 baked")


@pytest.mark.parametrize("options", [(), ("--no-library",), ("--json",)])
def test_a_plan_refuses_the_settings_that_an_up_refuses(checkout: Checkout, options: tuple[str, ...]) -> None:
    rules = {"*-stable": {"first": ["app-gpu"]}}
    checkout.settings("dev", oven="fake", channels={"stable": ["app"]}, rollout=rules, approval=["hpc"])
    done = checkout.run("plan", *options)
    assert done.returncode == 2
    assert "image-bakery:rollout: there is no partition app-gpu; use one of: app" in done.stderr
    assert "image-bakery:approval: no family of the plan matches 'hpc'" in done.stderr


def commit(checkout: Checkout) -> None:
    git = ["git", "-C", str(checkout.root), "-c", "user.name=x", "-c", "user.email=x@y"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)


def test_plan_since_a_revision_says_what_changed_without_a_library(checkout: Checkout) -> None:
    commit(checkout)
    (checkout.root / "packages/app/install.sh").write_text("#!/bin/bash\ntrue\n")
    found = json.loads(checkout.run("plan", "--since", "HEAD", "--json").stdout)
    assert [(image["family"], image["action"], image["reasons"]) for image in found["images"]] == [
        ("base", "keep", []),
        ("app", "bake", ["packages/app/install.sh changed"]),
    ]
    assert "1 baked, 1 kept (compared with HEAD)" in checkout.run("plan", "--since", "HEAD", "--markdown").stdout
    assert not (checkout.root / ".bakery").exists()
    for arguments in (("--since", "nosuch"), ("--since=--help",), ("--since", "HEAD", "--packages", "packages")):
        done = checkout.run("plan", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--since" in done.stderr


def test_plan_since_a_revision_names_what_changed_in_the_tests(checkout: Checkout) -> None:
    checkout.suite("app", "out")
    commit(checkout)
    (checkout.root / "packages/app/test/run.sh").write_text("#!/bin/bash\nfalse\n")
    found = json.loads(checkout.run("plan", "--since", "HEAD", "--json").stdout)
    assert [(image["action"], image["reasons"]) for image in found["images"]] == [
        ("keep", []),
        ("test", ["packages/app/test/run.sh changed"]),
    ]


def test_plan_of_another_tree_needs_no_lock(checkout: Checkout, tmp_path: Path) -> None:
    lock_file.write(checkout.root / "bakery.lock", Lock({Place.LOCAL: {"debian-cloud/debian-11": BASE}}))
    assert checkout.run("plan").returncode == 2
    for arguments in (("--packages", "packages", "--common", "common"), ("--all",)):
        done = checkout.run("plan", "--json", *arguments)
        found = json.loads(done.stdout)
        assert done.returncode == 0
        assert len(found["images"]) == 2
        assert [problem["severity"] for problem in found["problems"]] == ["warning"]


def test_a_stack_that_is_not_there_is_told(checkout: Checkout) -> None:
    done = checkout.run("plan", "--stack", "prodd")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Pulumi.prodd.yaml:1: error: does not exist; use another --stack; known: dev" in done.stderr


NO_NETWORK = """
import socket
def refuse(*_given, **_named):
    raise OSError("there is no network")
socket.socket.connect = socket.getaddrinfo = refuse
"""


def test_plan_of_the_gcp_stack_needs_no_credentials_no_network_and_no_lock(checkout: Checkout, tmp_path: Path) -> None:
    (checkout.root / "site").mkdir()
    (checkout.root / "site" / "sitecustomize.py").write_text(NO_NETWORK)
    google = "image-bakery:google: {project: p, region: us-central1}"
    (checkout.root / "Pulumi.gcp.yaml").write_text(f"config:\n  image-bakery:oven: cloud-build\n  {google}\n")
    away = {"HOME": str(tmp_path / "home"), "PYTHONPATH": f"{ROOT}:{checkout.root / 'site'}", "PATH": "/usr/bin:/bin"}
    away |= {"GOOGLE_APPLICATION_CREDENTIALS": "", "CLOUDSDK_CONFIG": str(tmp_path / "none")}
    done = checkout.run("plan", "--stack", "gcp", **away)
    assert done.returncode == 0, done.stderr
    assert "2 images: 2 baked" in done.stdout
    base, library = done.stderr.splitlines()
    assert base.endswith("run: bakery lock --stack gcp")
    assert library.startswith("library:1: warning: the library can't be read: no Google credentials: ")
    assert "every image counts as new" in library


def test_a_change_of_the_same_size_and_time_is_seen_by_the_next_plan(checkout: Checkout) -> None:
    def digests() -> list[str]:
        return [image["digest"] for image in json.loads(checkout.run("plan", "--json").stdout)["images"]]

    before = digests()
    assert digests() == before
    script = checkout.root / "packages" / "app" / "install.sh"
    times = script.stat()
    script.write_text(script.read_text().replace("true", "echo"))
    os.utime(script, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (script.stat().st_size, script.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    base, app = digests()
    assert base == before[0]
    assert app != before[1]


def test_every_problem_goes_to_standard_error_and_ends_with_2(checkout: Checkout) -> None:
    (checkout.root / "packages" / "app" / "packer.json").write_text("{")
    lock_file.write(checkout.root / "bakery.lock", Lock({Place.LOCAL: {"debian-cloud/debian-11": BASE}}))
    done = checkout.run("plan", "--json")
    assert done.returncode == 2
    assert "packages/app/packer.json:1: error: " in done.stderr
    assert "run: bakery lock" in done.stderr
    assert len(json.loads(done.stdout)["problems"]) == len(done.stderr.splitlines())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("plan", "--packages", "/nowhere", "--common", "/nowhere"), 2),
        (("plan", "--nope"), 2),
        (("nope",), 2),
        (("logs", "nothing"), 1),
        (("plan", "--stack", "broken"), 2),
        (("--help",), 0),
    ],
)
def test_ends_with_the_right_code_and_never_a_traceback(
    checkout: Checkout, arguments: tuple[str, ...], code: int
) -> None:
    (checkout.root / "Pulumi.broken.yaml").write_text("config:\n  image-bakery:oven: microwave\n")
    done = checkout.run(*arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    assert done.stderr or code == 0


def test_a_damaged_lock_is_said_with_its_line(checkout: Checkout) -> None:
    (checkout.root / "bakery.lock").write_text("version: 1\nlocal: [\n")
    done = checkout.run("plan")
    assert done.returncode == 2
    assert done.stderr.startswith("bakery.lock:2: error: invalid YAML: ")


def test_library_is_empty_at_first(checkout: Checkout) -> None:
    done = checkout.run("library", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["images"] == []


def test_lock_check_says_what_is_newer_and_changes_nothing(checkout: Checkout) -> None:
    index = checkout.root / "mirror" / "dists" / "bookworm" / "InRelease"
    index.parent.mkdir(parents=True)
    index.write_text("Date: Sat, 11 Jul 2026 10:07:09 UTC\n")
    local = f"image-bakery:local: {{mirror: '{(checkout.root / 'mirror').as_uri()}'}}"
    (checkout.root / "Pulumi.dev.yaml").write_text(f"config:\n  image-bakery:oven: fake\n  {local}\n")
    before = (checkout.root / "bakery.lock").read_text()
    done = checkout.run("lock", "--check")
    assert done.returncode == 1
    assert done.stdout == "debian-cloud/debian-12: debian-12-20300101 -> debian-12-20260711\n"
    assert (checkout.root / "bakery.lock").read_text() == before
    assert checkout.run("lock").returncode == 0
    assert (checkout.root / "bakery.lock").read_text() != before
    assert checkout.run("lock", "--check").returncode == 0


def test_lock_check_ends_with_1_for_what_is_not_locked_and_when_nobody_answers(checkout: Checkout) -> None:
    (checkout.root / "bakery.lock").unlink()
    local = f"image-bakery:local: {{mirror: '{(checkout.root / 'nowhere').as_uri()}'}}"
    (checkout.root / "Pulumi.dev.yaml").write_text(f"config:\n  image-bakery:oven: fake\n  {local}\n")
    done = checkout.run("lock", "--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot read " in done.stderr
    index = checkout.root / "nowhere" / "dists" / "bookworm" / "InRelease"
    index.parent.mkdir(parents=True)
    index.write_text("Date: Sat, 11 Jul 2026 10:07:09 UTC\n")
    done = checkout.run("lock", "--check")
    assert (done.returncode, done.stdout) == (1, "debian-cloud/debian-12: debian-12-20260711 (new)\n")
    assert not (checkout.root / "bakery.lock").exists()
    (checkout.root / "bakery.lock").write_text("version: 7\n")
    assert checkout.run("lock", "--check").returncode == 2


def test_a_reader_that_goes_away_is_no_error(checkout: Checkout) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [*COMMAND, "plan", "--json"], cwd=checkout.root, env=checkout.environment(), stdout=closed,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (141, "")


def test_outputs_that_were_closed_before_the_start_are_no_error(checkout: Checkout) -> None:
    words = ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "plan"]
    done = subprocess.run(
        words, cwd=checkout.root, env=checkout.environment(), stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_control_c_ends_with_130_and_no_traceback(checkout: Checkout) -> None:
    os.mkfifo(checkout.root / "Pulumi.slow.yaml")  # reading it waits for a writer that never comes
    running = subprocess.Popen(
        [*COMMAND, "plan", "--stack", "slow"], cwd=checkout.root, env=checkout.environment(),
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert (running.returncode, said) == (130, "interrupted\n")


def test_starting_loads_nothing_heavy() -> None:
    heavy = {"pulumi", "pydantic", "rich", "yaml", "google", "grpc", "sqlite3"}
    code = f"import sys, bakery.cli; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_full_disk_behind_the_output_is_said_and_is_no_surprise(checkout: Checkout) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "plan"], cwd=checkout.root, env=checkout.environment(),
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "error: output: No space left on device\n")


def test_another_file_of_settings(checkout: Checkout) -> None:
    (checkout.root / "other.yaml").write_text("config: {oven: fake, select: [base]}\n")
    assert "app" in checkout.run("plan").stdout
    for done in (
        checkout.run("--config-file", "other.yaml", "plan"),
        checkout.run("plan", BAKERY_CONFIG_FILE=str(checkout.root / "other.yaml")),
    ):
        assert done.returncode == 0, done.stderr
        assert "app" not in done.stdout
    gone = checkout.run("--config-file", "gone.yaml", "plan")
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "gone.yaml:1: error: does not exist" in gone.stderr
