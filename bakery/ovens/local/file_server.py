"""Folders and archives of this computer that the Spack settings name, as a machine that bakes here can reach them.

A machine has no way to this computer's files. So they are served over HTTP while the bake lasts: on the loopback
address, which QEMU's network shows its machines as 10.0.2.2, below a path that nobody can guess. The cache may be
written to (PUT), everything else is only read.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bakery.errors import CommandFailed, InfrastructureFailed, InputError, Problem
from bakery.host import process
from bakery.host.files import write_atomic

HOST = "10.0.2.2"
SOURCES = {"spack_source": "spack_ref", "spack_packages_source": "spack_packages_ref"}
MIRROR, CACHE, KEY = "spack_mirror", "spack_cache", "spack_cache_key"
CHUNK = 1 << 20
PACK_SECONDS = 1800.0  # a folder may hold what Spack installed there


def path_of(value: str) -> Path | None:
    """The path on this computer that a setting names; None for an address."""
    text = value.removeprefix("file://")
    return Path(text).expanduser() if text.startswith(("/", "~")) else None


@contextmanager
def shared(variables: Mapping[str, str], work: Path) -> Iterator[Mapping[str, str]]:
    """The Packer variables with addresses in place of paths of this computer, good until the end of the block.

    ``work`` is the bake's folder. Raises InputError for a path that is not there, InfrastructureFailed for one that
    can't be packed.
    """
    paths = {name: path for name in (*SOURCES, MIRROR, CACHE, KEY) if (path := path_of(variables.get(name, "")))}
    if not paths:
        yield variables
        return
    root = work / "shared"
    root.mkdir(exist_ok=True)
    names = {name: _put(root, name, path, variables.get(SOURCES.get(name, ""), "")) for name, path in paths.items()}
    with _serve(root) as address:
        yield {**variables, **{name: f"{address}/{file}" for name, file in names.items()}}


def _put(root: Path, name: str, path: Path, ref: str) -> str:
    """Lay what a setting names into the served folder; its name there."""
    if name == CACHE:
        path.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        setting = "image-bakery:spack"
        raise InputError([Problem(setting, 1, f"{path} is not there", "correct the path, or name an address")])
    if name in SOURCES and path.is_dir():
        return _pack(root, name, path, ref)
    served = f"{name}{''.join(path.suffixes[-2:])}" if path.is_file() else name
    (root / served).symlink_to(path.resolve())
    return served


def _pack(root: Path, name: str, folder: Path, ref: str) -> str:
    """A folder as an archive: of the commit ``ref`` if it is a git repository and a ref is given, else as it is."""
    archive = root / f"{name}.tar.gz"
    if ref and ((folder / ".git").exists() or (folder / "HEAD").exists()):
        command = ["git", "-C", str(folder), "archive", f"--prefix={name}/", f"--output={archive}", ref]
    else:
        command = ["tar", "-czf", str(archive), "--exclude-vcs", "-C", str(folder.parent), folder.name]
    try:
        process.output(command, timeout=PACK_SECONDS)
    except CommandFailed as error:
        raise InfrastructureFailed(f"{folder} can't be packed: {error.message}", hint="is the ref there?") from error
    return archive.name


class _Handler(SimpleHTTPRequestHandler):
    """Serves ``directory`` below a secret first part of the path."""

    protocol_version = "HTTP/1.1"  # with it curl need not wait before it sends a large file

    def __init__(self, *args: Any, secret: str, **more: Any) -> None:
        self.secret = secret
        super().__init__(*args, **more)

    def translate_path(self, path: str) -> str:
        """The file of a path, or one that is not there for whoever does not know the secret."""
        _, first, rest = (*path.split("/", 2), "", "")[:3]
        known = secrets.compare_digest(first, self.secret)
        return super().translate_path(f"/{rest}") if known else os.devnull + "/none"

    def list_directory(self, path: Any) -> None:
        """Nobody needs a listing."""
        self.send_error(404)

    def do_PUT(self) -> None:
        """Store a file of the cache, whole or not at all."""
        file = Path(self.translate_path(self.path))
        size = int(self.headers.get("Content-Length", "-1"))
        if not file.is_relative_to(Path(self.directory) / CACHE) or size < 0:
            self.close_connection = True  # what is sent is not read
            self.send_error(403)
            return
        try:
            write_atomic(file, self._body(size))
        except EOFError:
            self.send_response(400)
        else:
            self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self, size: int) -> Iterator[bytes]:
        """Yield what the client sends, in chunks. Raises EOFError if it is less than ``size`` bytes."""
        while size > 0:
            chunk = self.rfile.read(min(size, CHUNK))
            if not chunk:
                raise EOFError(f"{size} bytes of the body are missing")
            yield chunk
            size -= len(chunk)

    def log_message(self, *_: Any) -> None:
        """Nothing: an address in the log would give the secret away."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Nothing: a machine that was switched off in the middle of an answer is no fault."""


@contextmanager
def _serve(root: Path) -> Iterator[str]:
    secret = secrets.token_urlsafe(24)
    server = _Server(("127.0.0.1", 0), partial(_Handler, secret=secret, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/{secret}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        shutil.rmtree(root, ignore_errors=True)
