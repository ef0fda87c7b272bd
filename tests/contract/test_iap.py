"""The tunnel that Packer's googlecompute plugin goes through, by the real gcloud, against a relay with IAP's frames.

The command is the plugin's own; the causes are read from what gcloud prints, as the watch of a build does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.host import qemu
from bakery.host.google_errors import Cause, cause_of_text
from tests.fake_google import iap
from tests.fake_google.iap import Relay
from tests.fake_google.server import FakeServer, serve

pytestmark = pytest.mark.skipif(shutil.which("gcloud") is None, reason="there is no gcloud")

ZONE = "compute/compute/v1/projects/p/zones/us-central1-a"
TOKEN = "ya29.bake"
ALLOWED = ("bakery-bake@p.iam.gserviceaccount.com", ("https://www.googleapis.com/auth/cloud-platform",))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.tokens[TOKEN] = ALLOWED
        card = {"name": "nic0", "networkIP": "10.0.0.2"}
        running.cloud.items[f"{ZONE}/instances/bake"] = {"name": "bake", "networkInterfaces": [card]}
        yield running
        assert running.cloud.violations == []


@pytest.fixture
def echo() -> Iterator[int]:
    """A port that gives back what it gets."""

    def answer() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client:
                while content := client.recv(65536):
                    client.sendall(content)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, daemon=True).start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)


def gcloud(server: FakeServer, address: iap.Address, folder: Path, port: int) -> subprocess.Popen[str]:
    """The tunnel of builder/googlecompute/step_start_tunnel.go, with the place of Google and of the relay."""
    (folder / "token").write_text(TOKEN)
    words = f"gcloud compute start-iap-tunnel bake 22 --local-host-port=localhost:{port} --zone us-central1-a"
    environment = {**os.environ, **iap.gcloud_environment(server.url, folder), **address.environment()}
    return subprocess.Popen(
        [*words.split(), "--project=p", f"--iap-tunnel-url-override={address.url}"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def connect(running: subprocess.Popen[str], port: int) -> socket.socket:
    while running.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            time.sleep(0.1)
    raise AssertionError(running.communicate()[0])


def test_the_stream_of_a_tunnel_is_whole(server: FakeServer, echo: int, tmp_path: Path) -> None:
    relay = Relay(lambda zone, name, port: ("127.0.0.1", echo), server.cloud.tokens.__contains__)
    sent, got, port = os.urandom(1 << 20), b"", qemu.free_ports(1)[0]
    with iap.relaying(relay, tmp_path) as address:
        running = gcloud(server, address, tmp_path, port)
        with connect(running, port) as client:
            threading.Thread(target=client.sendall, args=(sent,)).start()
            while len(got) < len(sent):
                got += client.recv(65536)
        os.killpg(running.pid, signal.SIGINT)
        running.communicate()
    assert got == sent
    asked = {"project": "p", "zone": "us-central1-a", "instance": "bake", "interface": "nic0", "port": "22"}
    assert [tunnel.items() >= asked.items() for tunnel in relay.tunnels] == [True, True], "gcloud tries it first"
    assert relay.violations == []


@pytest.mark.parametrize(
    ("allowed", "code", "cause"),
    [(False, "4033: 'not authorized'", Cause.ACCESS), (True, "4003: ", Cause.OTHER)],
    ids=["not allowed", "nobody listens"],
)
def test_a_refused_tunnel_names_its_cause(
    server: FakeServer, tmp_path: Path, allowed: bool, code: str, cause: Cause
) -> None:
    closed, port = qemu.free_ports(2)
    relay = Relay(lambda zone, name, port: ("127.0.0.1", closed), lambda token: allowed)
    with iap.relaying(relay, tmp_path) as address:
        said = gcloud(server, address, tmp_path, port).communicate()[0]
    line = next(line for line in said.splitlines() if "ERROR" in line)  # the plugin retries by the code in this line
    assert code in line and cause_of_text(line) is cause
    assert relay.violations == []
