"""Serves the folders and archives of this computer that the Spack settings name to a machine that bakes here.

A machine can't access this computer's files, so they are served over HTTP for the duration of the bake: on the loopback
address, which is 10.0.2.2 on QEMU's network, below a path that can't be guessed. Only the cache can be written (PUT).
"""

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
from bakery.redaction import redacted
from bakery.settings.network import seen_from

HOST = "10.0.2.2"
SOURCES = {"spack_source": "spack_ref", "spack_packages_source": "spack_packages_ref"}
MIRROR, CACHE, KEY = "spack_mirror", "spack_cache", "spack_cache_key"
NEWEST = "refs/bakery/head"  # what a source without a ref is fetched as
ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")  # as in common/spack-install.sh
CHUNK = 1 << 20
PACK_SECONDS = 1800.0  # a folder may contain what Spack installed there


def path_of(value: str) -> Path | None:
    """Return the path on this computer that a setting names; None for an address."""
    text = value.removeprefix("file://")
    return Path(text).expanduser() if text.startswith(("/", "~")) else None


@contextmanager
def shared(variables: Mapping[str, str], work: Path) -> Iterator[Mapping[str, str]]:
    """Yield the Packer variables with addresses, valid inside the block, in place of paths of this computer.

    ``work`` is the bake's folder. Raises InputError for a path that does not exist, and InfrastructureFailed for one
    that can't be packed.
    """
    known = {name: variables[name] for name in (*SOURCES, MIRROR, CACHE) if name in variables}
    if changed := {name: seen for name, value in known.items() if (seen := seen_from(HOST, value)) != value}:
        variables = {**variables, **changed}
    paths = {name: path for name in (*SOURCES, MIRROR, CACHE, KEY) if (path := path_of(variables.get(name, "")))}
    secret = {name: value for name in SOURCES if redacted(value := variables.get(name, "")) != value}
    paths |= {name: _fetch(work / name, value) for name, value in secret.items() if name not in paths}
    if not paths:
        yield variables
        return
    root = work / "shared"
    root.mkdir(exist_ok=True)
    names = {
        name: _put(root, name, path, variables.get(SOURCES.get(name, "")) or (NEWEST if name in secret else ""))
        for name, path in paths.items()
    }
    with _serve(root) as address:
        yield {**variables, **{name: f"{address}/{file}" for name, file in names.items()}}


def _fetch(target: Path, address: str) -> Path:
    """Fetch a source whose address is secret: neither the machine nor its image may have it. Raises CommandFailed."""
    if address.endswith(ARCHIVES):
        target = target.with_suffix("".join(Path(address).suffixes[-2:]))
        command = ["curl", "--fail", "--silent", "--show-error", "--location", "--output", str(target), address]
    else:
        process.output(["git", "init", "--quiet", "--bare", str(target)])
        command = ["git", "-C", str(target), "fetch", "--quiet", address, "+refs/*:refs/*", f"+HEAD:{NEWEST}"]
    process.output(command, timeout=PACK_SECONDS)
    return target


def _put(root: Path, name: str, path: Path, ref: str) -> str:
    """Put the path of a setting into the served folder, and return its name there."""
    if name == CACHE:
        path.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        hint = "fix the path, or name an address"
        raise InputError([Problem("spack", 1, f"{path} does not exist", hint)])
    if name in SOURCES and path.is_dir():
        return _pack(root, name, path, ref)
    served = f"{name}{''.join(path.suffixes[-2:])}" if path.is_file() else name
    (root / served).symlink_to(path.resolve())
    return served


def _pack(root: Path, name: str, folder: Path, ref: str) -> str:
    """Pack a folder: of a git repository with a given ``ref`` that commit, else the folder as it is."""
    archive = root / f"{name}.tar.gz"
    if ref and ((folder / ".git").exists() or (folder / "HEAD").exists()):
        command = ["git", "-C", str(folder), "archive", f"--prefix={name}/", f"--output={archive}", ref]
    else:
        command = ["tar", "-czf", str(archive), "--exclude-vcs", "-C", str(folder.parent), folder.name]
    try:
        process.output(command, timeout=PACK_SECONDS)
    except CommandFailed as error:
        raise InfrastructureFailed(f"{folder} can't be packed: {error.message}", hint="check the ref") from error
    return archive.name


class _Handler(SimpleHTTPRequestHandler):
    """Serves ``directory`` below a secret first part of the path."""

    protocol_version = "HTTP/1.1"  # with 1.0, curl waits before it sends a large file

    def __init__(self, *args: Any, secret: str, **more: Any) -> None:
        self.secret = secret
        super().__init__(*args, **more)

    def translate_path(self, path: str) -> str:
        """Return the file of a path; a path that does not exist if the secret is wrong."""
        _, first, rest = (*path.split("/", 2), "", "")[:3]
        known = secrets.compare_digest(first, self.secret)
        return super().translate_path(f"/{rest}") if known else os.devnull + "/none"

    def list_directory(self, path: Any) -> None:
        """Refuse: a listing is never needed."""
        self.send_error(404)

    def do_PUT(self) -> None:
        """Store a file of the cache atomically."""
        file = Path(self.translate_path(self.path))
        size = int(self.headers.get("Content-Length", "-1"))
        if not file.is_relative_to(Path(self.directory) / CACHE) or size < 0:
            self.close_connection = True  # the body is not read
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
        """Yield the request's body in chunks. Raises EOFError if it has fewer than ``size`` bytes."""
        while size > 0:
            chunk = self.rfile.read(min(size, CHUNK))
            if not chunk:
                raise EOFError(f"{size} bytes of the body are missing")
            yield chunk
            size -= len(chunk)

    def log_message(self, *_: Any) -> None:
        """Log nothing: an address in the log would reveal the secret."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Ignore it: a machine may be switched off in the middle of an answer."""


@contextmanager
def _serve(root: Path) -> Iterator[str]:
    secret = secrets.token_urlsafe(24)
    with _Server(("127.0.0.1", 0), partial(_Handler, secret=secret, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/{secret}"
        finally:
            server.shutdown()
            thread.join()
            shutil.rmtree(root, ignore_errors=True)
