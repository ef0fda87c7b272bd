"""A program named gcloud whose machines are folders: ``compute ssh`` runs the command in one, ``compute scp`` copies.

``FAKE_GCLOUD`` is the folder of the machines' homes; the calls are in ``<folder>/calls``. While
``<folder>/down`` is there, no machine answers (ssh's exit code 255). As with a real machine, what a command leaves
running does not run below the caller: a server in the test's process starts it.
"""

from __future__ import annotations

import json
import os
import socketserver
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import slurm

PROGRAM = """
import json, os, shutil, socket, sys
top = os.environ["FAKE_GCLOUD"]
verb, words = sys.argv[2], sys.argv[3:]
with open(f"{top}/calls", "a") as sink:
    sink.write(json.dumps(sys.argv[1:]) + "\\n")
options = dict(word.partition("=")[::2] for word in words if word.startswith("--"))
names = [word for word in words if not word.startswith("--")]
open(options["--ssh-key-file"], "a").close()
if os.path.exists(f"{top}/down"):
    sys.exit(255)
def place(name):
    machine, colon, path = name.partition(":")
    return os.path.join(top, machine, path) if colon else name
if verb == "scp":
    source, target = map(place, names)
    if not os.path.exists(source):
        sys.exit(1)
    shutil.copyfile(source, target)
    sys.exit(0)
with socket.create_connection(("127.0.0.1", int(os.environ["FAKE_SSHD"]))) as sshd:
    sshd.sendall(json.dumps([names[0], options["--command"]]).encode() + b"\\n")
    code, out, err = json.loads(sshd.makefile().readline())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class _Sshd(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        machine, command = json.loads(self.rfile.readline())
        home = Path(os.environ["FAKE_GCLOUD"]) / machine
        environment = {**os.environ, "HOME": str(home)}
        done = subprocess.run(
            ["bash", "-c", command], cwd=home, env=environment, capture_output=True, text=True, check=False
        )
        self.wfile.write(json.dumps([done.returncode, done.stdout, done.stderr]).encode() + b"\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, *machines: str) -> Iterator[Path]:
    """The program on PATH; every machine has the programs of :mod:`tests.support.slurm`. Yields ``folder``."""
    place = folder / "bin"
    place.mkdir(parents=True)
    (place / "gcloud").write_text(f"#!{sys.executable}\n{PROGRAM}")
    (place / "gcloud").chmod(stat.S_IRWXU)
    for name in machines:
        slurm.install(folder / name)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_GCLOUD", str(folder))
    monkeypatch.setenv("FAKE_SLURM", str(folder / "jobs"))
    with _Server(("127.0.0.1", 0), _Sshd) as server:
        monkeypatch.setenv("FAKE_SSHD", str(server.server_address[1]))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder
        server.shutdown()
