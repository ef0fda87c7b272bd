"""``bakery boot`` on fake clusters and on the fake Google Cloud, and the shell in the user's terminal."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.fluid_run.base import Login
from bakery.library.base import Proof
from bakery.library.local.library import LocalLibrary
from bakery.operations import logins
from bakery.operations.boot import booted
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import from_file
from tests.fake_google import agents
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout

INSTANCES = "/instances/"
SHELL = Login("controller", "sleep 60", program="sleep", leave="exit")


@pytest.fixture
def baked(checkout: Checkout) -> Checkout:
    assert checkout.invoke("bake", "app").exit_code == 0
    return checkout


def nothing_is_left(checkout: Checkout) -> None:
    settings = from_file(checkout.root, "dev")
    state, library = StatePaths(settings.state), LocalLibrary(settings)
    (image,) = [one for one in library.images() if one.package == "app"]
    assert (image.proof, list(library.runs(image.name))) == (Proof.UNTESTED, [])
    assert [path.name for path in state.work.iterdir() if not path.name.startswith("fake-")] == []
    assert list(state.runs.glob("*")) == []


def test_the_machine_is_up_until_control_c_and_nothing_is_recorded(baked: Checkout) -> None:
    running = baked.start("boot", "app", "--hours", "0.5")
    assert running.stderr
    lines: list[str] = []
    for line in running.stderr:
        lines.append(line)
        if "Ctrl-C ends it" in line:
            break
    assert lines[-1].startswith("a machine of app-") and "is up for 30 minutes" in lines[-1]
    assert "Slurm: " not in "".join(lines)
    running.send_signal(signal.SIGINT)
    _, text = running.communicate(timeout=30)
    assert (running.returncode, text) == (0, "stopping; a second Ctrl-C ends immediately\n")
    nothing_is_left(baked)


def test_an_image_whose_slurm_does_not_start_can_be_looked_into(
    baked: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    baked.configure(tests={"app": {"image_fault": "the image has no munged; install it in the recipe"}})
    monkeypatch.setattr("bakery.cli.commands.boot.wait_for_user", lambda *_: None)
    done = baked.invoke("boot", "app", "--no-login")
    assert done.exit_code == 0
    assert "the machine runs, but not its Slurm: the image has no munged; install it in the recipe" in done.stderr
    assert "there is no machine to log in to" in done.stderr
    nothing_is_left(baked)


def test_a_machine_that_does_not_start_is_an_error_and_goes(baked: Checkout) -> None:
    baked.configure(tests={"app": {"broken": 1}})
    done = baked.invoke("boot", "app")
    assert done.exit_code == 1
    assert "error: the fake machine broke (1)" in done.stderr
    assert "  | fake controller of app-" in done.stderr, "the end of its console"
    nothing_is_left(baked)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("boot", "nothing"), "nothing"), (("boot", "app", "--hours", "0"), "0.1")],
)
def test_what_cannot_be_booted_is_said(checkout: Checkout, arguments: tuple[str, ...], told: str) -> None:
    done = checkout.invoke(*arguments)
    assert done.exit_code != 0
    assert told in done.stderr


def test_a_machine_on_compute_engine_has_a_deadline_and_goes_with_the_block(
    checkout: Checkout, cloud: FakeServer
) -> None:
    agents.obey(cloud.cloud)
    chosen = backend(from_file(checkout.root, "gcp"))
    bake = checkout.invoke("bake", "base", "--stack", "gcp")
    assert bake.exit_code == 0, bake.stderr

    def made() -> list[dict[str, object]]:
        return [item for key, item in cloud.cloud.items.items() if INSTANCES in key]

    with booted("base", chosen, Activity(), seconds=3600, machine_type="c2-standard-4") as up:
        (machine,) = made()
        assert up.problem == ""
        (login,) = up.logins
        assert login.command.startswith(f"gcloud compute ssh {machine['name']} --zone=us-central1-")
        assert str(machine["machineType"]).endswith("/c2-standard-4")
        assert int(machine["scheduling"]["maxRunDuration"]["seconds"]) > 3600  # type: ignore[index]
        assert "accessConfigs" not in machine["networkInterfaces"][0]  # type: ignore[index]
    assert made() == []
    assert [key for key in cloud.cloud.items if key.endswith("seed.tar")] == [], "it has the cluster's key"


def test_a_shell_ends_with_its_user_its_time_or_the_command(tmp_path: Path) -> None:
    cancelled = threading.Event()
    done = tmp_path / "done"
    began = time.monotonic()
    logins.log_in(Login("controller", f"touch {done}", program="touch", leave="exit"), cancelled, 60)
    assert done.exists()
    logins.log_in(SHELL, cancelled, 0)
    cancelled.set()
    logins.log_in(SHELL, cancelled, 60)
    assert time.monotonic() - began < 30


def test_a_missing_program_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert logins.lines([Login("controller", "socat x", program="socat", leave="Ctrl-]")]) == [
        "install socat first: sudo apt-get install --no-install-recommends socat",
        "Ctrl-] leaves a machine's shell",
        "controller: socat x",
    ]
    assert not logins.can_log_in([SHELL])
