"""The checkout of the Spack test, and clingo as its machines fetch it.

On a machine that bakes pip knows nothing of this one's settings (a mirror, a proxy, its certificates). So the wheels
are fetched here and served on the loopback address, which QEMU's network shows its machines as 10.0.2.2.
"""

from __future__ import annotations

import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bakery.host import process
from tests.support import source_tree

INSTALLER = source_tree.ROOT / "common" / "spack-install.sh"


def checkout(folder: Path, port: int) -> Path:
    """A checkout of two packages in ``folder``: rcc-debian, and on top of it an environment whose pip asks ``port``."""
    made = folder / "checkout"
    shutil.copytree(Path(__file__).parent / "packages", made / "packages")
    shutil.copytree(source_tree.ROOT / "packages/rcc-debian", made / "packages/rcc-debian")
    shutil.copytree(source_tree.ROOT / "common", made / "common")
    shutil.copy(source_tree.ROOT / "bakery.lock", made)
    build = made / "packages/bzip2/cloudbuild.yaml"
    build.write_text(build.read_text(encoding="utf-8").replace("@PORT@", str(port)), encoding="utf-8")
    return made


def fetch_wheels(folder: Path) -> None:
    """clingo as spack-install.sh wants it, for Debian 12's Python."""
    wanted = re.search(r"clingo==[\d.]+", INSTALLER.read_text(encoding="utf-8"))
    assert wanted, "spack-install.sh no longer pins clingo"
    target = ["--python-version=3.11", "--implementation=cp", "--platform=manylinux2014_x86_64"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", *target]
    process.output([*pip, f"--dest={folder}", wanted[0]])


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve(folder: Path) -> Iterator[int]:
    """Serve a folder until the end of the block; the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
