"""A stand-in for the relay of IAP's TCP forwarding, which the tunnels of gcloud reach a machine through.

A tunnel is a WebSocket whose messages are frames: a tag of two bytes, and what the tag says. Sources: the client of the
Google Cloud CLI 528.0.0, ``googlecloudsdk/api_lib/compute/iap_tunnel_websocket.py`` and its ``_utils.py``; for the
codes of refusals, packer-plugin-googlecompute 1.2.5, ``builder/googlecompute/step_start_tunnel.go``.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("relay.tunnel.cloudproxy.app")
ORIGIN = "bot:iap-tunneler"
CONNECTED, DATA, ACK = 0x0001, 0x0004, 0x0007  # tags
LARGEST = 16384  # bytes of data in a frame
PARAMETERS = {"project", "zone", "instance", "interface", "port", "newWebsocket"}
NOT_AUTHORIZED, NOT_CONNECTED = (4033, "not authorized"), (4003, "failed to connect to backend")

Target = tuple[str, int]


def connected(session: bytes) -> bytes:
    """The relay's first frame, with the id of the session."""
    return struct.pack(">HI", CONNECTED, len(session)) + session


def data(content: bytes) -> bytes:
    """A frame with a part of the stream."""
    return struct.pack(">HI", DATA, len(content)) + content


def acknowledged(total: int) -> bytes:
    """A frame that says how many bytes of the stream have come."""
    return struct.pack(">HQ", ACK, total)


def content_of(frame: bytes) -> bytes | None:
    """The content of a DATA frame; None for an ACK. Raises ValueError for anything else."""
    (tag,) = struct.unpack_from(">H", frame)
    if tag == ACK and len(frame) == 10:
        return None
    (size,) = struct.unpack_from(">I", frame, 2)
    if tag != DATA or size != len(frame) - 6 or not 0 < size <= LARGEST:
        raise ValueError(f"no frame of a client: {frame[:20]!r}")
    return frame[6:]


@dataclass
class Relay:
    """Carries tunnels to ``find``'s answer for zone, instance and port: an address, or None for an instance unknown.

    ``allows`` is asked about the bearer token. What is against the protocol is noted in ``violations``.
    """

    find: Callable[[str, str, int], Target | None]
    allows: Callable[[str], bool]
    violations: list[str] = field(default_factory=list)
    tunnels: list[dict[str, str]] = field(default_factory=list)  # the questions of those that were let through

    def carry(self, client: ServerConnection) -> None:
        """Carry one tunnel to its end."""
        asked = client.request
        assert asked is not None
        parts = urlsplit(asked.path)
        query = dict(parse_qsl(parts.query))
        wrong = [
            *([f"path {parts.path}"] if parts.path != "/v4/connect" else []),
            *([f"parameters {sorted(query)}"] if set(query) != PARAMETERS else []),
            *([f"origin {asked.headers.get('Origin')}"] if asked.headers.get("Origin") != ORIGIN else []),
            *([f"subprotocol {client.subprotocol}"] if client.subprotocol != SUBPROTOCOL else []),
        ]
        if wrong:
            self.violations += wrong
            return client.close(1002, "protocol error")
        kind, _, token = asked.headers.get("Authorization", "").partition(" ")
        target = self.find(query["zone"], query["instance"], int(query["port"]))
        if kind != "Bearer" or not self.allows(token) or target is None:
            return client.close(*NOT_AUTHORIZED)
        try:
            machine = socket.create_connection(target)
        except OSError:
            return client.close(*NOT_CONNECTED)
        self.tunnels.append(query)
        with machine:
            client.send(connected(secrets.token_hex(16).encode()))
            back = threading.Thread(target=_back, args=(machine, client), daemon=True)
            back.start()
            self._forth(client, machine)
            with contextlib.suppress(OSError):
                machine.shutdown(socket.SHUT_RDWR)
            back.join()

    def _forth(self, client: ServerConnection, machine: socket.socket) -> None:
        total = 0
        try:
            for frame in client:
                content = content_of(frame if isinstance(frame, bytes) else frame.encode())
                if content is not None:
                    machine.sendall(content)
                    total += len(content)
                    client.send(acknowledged(total))
        except ValueError as error:
            self.violations.append(str(error))
        except (ConnectionClosed, OSError):
            pass  # one of both has hung up


def _back(machine: socket.socket, client: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        while content := machine.recv(LARGEST):
            client.send(data(content))
    client.close()


@dataclass(frozen=True)
class Address:
    """Where a relay listens: gcloud's ``--iap-tunnel-url-override``. ``authority`` is the file that vouches for it."""

    url: str
    authority: Path

    def environment(self) -> dict[str, str]:
        """What gcloud trusts the relay with."""
        return {"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": str(self.authority)}


@contextlib.contextmanager
def relaying(relay: Relay, folder: Path) -> Iterator[Address]:
    """Serve a relay on the loopback device, with a certificate in ``folder``: gcloud speaks TLS only."""
    key, certificate = folder / "relay.key", folder / "relay.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=relay"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # Without pings: a tunnel of gcloud ends at one ("Unexpected WebSocket opcode [9]").
    options = {"subprotocols": [SUBPROTOCOL], "compression": None, "ssl": context, "ping_interval": None}
    with serve(relay.carry, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Address(f"wss://127.0.0.1:{server.socket.getsockname()[1]}", certificate)
        finally:
            server.shutdown()
            thread.join()


def gcloud_environment(url: str, folder: Path) -> dict[str, str]:
    """What makes gcloud ask the fake at ``url``, with the access token in ``folder``/token and no other settings."""
    return {
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(folder / "token"),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{url}/compute/compute/v1/",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
    }
