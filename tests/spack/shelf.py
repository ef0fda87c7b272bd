"""What the machine that bakes fetches from this one: Spack, package recipes, sources, clingo, and a binary cache.

Served on the loopback address, which QEMU's network shows its machines as 10.0.2.2. The cache is filled with PUT.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bakery.host import process
from tests.rules import tree

HOST = "10.0.2.2"
INSTALLER = tree.ROOT / "common" / "spack-install.sh"


@dataclass(frozen=True)
class Pinned:
    """A source and its ref, as ``image-bakery:spack`` takes them."""

    source: str
    ref: str


@dataclass(frozen=True)
class Shelf:
    """The folder that is served on ``port``."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Its address as machines see it."""
        return f"http://{HOST}:{self.port}"

    def put_source(self, name: str, given: str, ref: str) -> Pinned:
        """A source as a person names it: an address stays; a folder or an archive is served as an archive."""
        if not given or "://" in given.removeprefix("file://") or given.startswith("git@"):
            return Pinned(given, ref)
        path = Path(given.removeprefix("file://")).expanduser().resolve()
        file = self.folder / f"{name}{_suffix(path)}"
        if path.is_file():
            shutil.copy(path, file)
        elif (path / ".git").exists() or (path / "HEAD").exists():
            process.output(["git", "-C", str(path), "archive", f"--prefix={name}/", f"--output={file}", ref])
        else:
            process.output(["tar", "-czf", str(file), "-C", str(path.parent), path.name])
        return Pinned(f"{self.url}/{file.name}", f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}")

    def put_mirror(self, given: str) -> str:
        """The address of a mirror of sources; a folder is served."""
        if not given or "://" in given.removeprefix("file://"):
            return given
        (self.folder / "mirror").symlink_to(Path(given.removeprefix("file://")).expanduser().resolve())
        return f"{self.url}/mirror"

    def put_wheels(self) -> None:
        """clingo as spack-install.sh wants it, for Debian 12's Python: fetched with this machine's pip settings."""
        wanted = re.search(r"clingo==[\d.]+", INSTALLER.read_text(encoding="utf-8"))
        assert wanted, "spack-install.sh no longer pins clingo"
        target = ["--python-version=3.11", "--implementation=cp", "--platform=manylinux2014_x86_64"]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", *target]
        process.output([*pip, f"--dest={self.folder / 'wheels'}", wanted[0]])


def checkout(folder: Path) -> Path:
    """A checkout of two packages in ``folder``: rcc-debian, and the environment on top of it."""
    made = folder / "checkout"
    shutil.copytree(Path(__file__).parent / "packages", made / "packages")
    shutil.copytree(tree.ROOT / "packages/rcc-debian", made / "packages/rcc-debian")
    shutil.copytree(tree.ROOT / "common", made / "common")
    shutil.copy(tree.ROOT / "bakery.lock", made)
    return made


def _suffix(path: Path) -> str:
    """The archive's own suffix; that of the archive which a folder becomes."""
    return "".join(path.suffixes[-2:]) if path.is_file() and path.suffix != ".tgz" else ".tar.gz"


class _Handler(SimpleHTTPRequestHandler):
    def do_PUT(self) -> None:
        """Store a file of the cache."""
        file = Path(self.translate_path(self.path))
        allowed = file.is_relative_to(Path(self.directory) / "cache")
        if allowed:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(201 if allowed else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve(folder: Path) -> Iterator[Shelf]:
    """Serve a folder until the end of the block."""
    folder.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Shelf(folder, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
