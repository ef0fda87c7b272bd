"""Publishers' servers on the loopback address, with the folders and the checksum files that the real ones have.

The names and styles are those of cloud-images.ubuntu.com, dl.rockylinux.org, repo.almalinux.org and cloud.debian.org as
Lima's templates and update scripts expect them (github.com/lima-vm/lima, read on 2026-11-30).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UBUNTU = "ubuntu-22.04-server-cloudimg-amd64.img"
ROCKY = "Rocky-9-GenericCloud-Base-9.8-20260525.0.x86_64.qcow2"
ALMA = "AlmaLinux-9-GenericCloud-9.7-20251118.x86_64.qcow2"
DEBIAN = "debian-12-genericcloud-amd64-20260923-2610.qcow2"


@dataclass
class Publisher:
    """``files`` by path. The next answers with content break off after ``cuts`` bytes each, and ``status`` says which
    paths are refused with which code. ``asked`` has the path and the range of each request."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)

    def listing(self, folder: str) -> bytes:
        """The page of a folder, as nginx and Apache write it: links to folders end with a slash."""
        below = {path.removeprefix(folder).split("/")[0] + "/" for path in self.files if path.startswith(folder)}
        return "\n".join(f'<a href="{name}">{name}</a>' for name in ("../", *sorted(below))).encode()


@contextmanager
def publisher() -> Iterator[Publisher]:
    """Serve a publisher until the end of the block."""
    shop = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            shop.asked.append((self.path, wanted))
            if code := shop.status.get(self.path):
                self.send_error(code)
                return
            content = shop.listing(self.path) if self.path.endswith("/") else shop.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and shop.ranges else 0
            if begin >= len(content) and begin:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            is_image = not self.path.endswith("/") and "SUM" not in self.path
            cut = shop.cuts.pop(0) if shop.cuts and is_image else len(content)
            self.wfile.write(content[begin : begin + cut])

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shop.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, content).hexdigest()


def ubuntu(shop: Publisher, releases: dict[str, bytes]) -> None:
    """A folder for each release and one for the newest; checksums in GNU's binary style, with those of other files."""
    for release, content in {**releases, "": releases[max(releases)]}.items():
        folder = f"/releases/jammy/release{'-' * bool(release)}{release}/"
        shop.files[folder + UBUNTU] = content
        other = f"{digest(b'other')} *ubuntu-22.04-server-cloudimg-arm64.img\n"
        shop.files[f"{folder}SHA256SUMS"] = f"{other}{digest(content)} *{UBUNTU}\n".encode()


def debian(shop: Publisher, releases: dict[str, bytes]) -> None:
    """A folder for each release; SHA-512 in GNU's text style; names have the version, but those of "latest" do not."""
    for release, content in releases.items():
        file = f"debian-12-genericcloud-amd64-{release}.qcow2"
        folder = f"/images/cloud/bookworm/{release}/"
        shop.files[folder + file] = content
        other = f"{digest(b'other', 'sha512')}  debian-12-generic-amd64-{release}.qcow2\n"
        shop.files[f"{folder}SHA512SUMS"] = f"{other}{digest(content, 'sha512')}  {file}\n".encode()
    shop.files["/images/cloud/bookworm/latest/SHA512SUMS"] = b""
    shop.files["/images/cloud/bookworm/daily/20990101-1/SHA512SUMS"] = b""


def rocky(shop: Publisher, releases: dict[str, bytes]) -> None:
    """All releases in one folder; checksums in BSD's style, with comments, twice for the newest."""
    folder, lines = "/pub/rocky/9/images/x86_64/", []
    for release, content in releases.items():
        file = f"Rocky-9-GenericCloud-Base-{release}.x86_64.qcow2"
        shop.files[folder + file] = content
        lines += [f"# {file}: {len(content)} bytes", f"SHA256 ({file}) = {digest(content)}"]
        lines += [f"SHA256 (Rocky-9-GenericCloud-LVM-{release}.x86_64.qcow2) = {digest(b'other')}"]
    lines += [f"SHA256 (Rocky-9-GenericCloud-Base.latest.x86_64.qcow2) = {digest(content)}", lines[1]]
    shop.files[f"{folder}CHECKSUM"] = "\n".join(lines).encode()


def alma(shop: Publisher, releases: dict[str, bytes]) -> None:
    """All releases in one folder; SHA-256 in GNU's text style, here signed in clear text."""
    folder, lines = "/almalinux/9/cloud/x86_64/images/", []
    for release, content in releases.items():
        file = f"AlmaLinux-9-GenericCloud-{release}.x86_64.qcow2"
        shop.files[folder + file] = content
        lines += [
            f"{digest(content)}  {file}",
            f"{digest(b'other')}  AlmaLinux-9-GenericCloud-ext4-{release}.x86_64.qcow2",
        ]
    lines += [f"{digest(content)}  AlmaLinux-9-GenericCloud-latest.x86_64.qcow2"]
    head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
    end = f"\n-----BEGIN PGP SIGNATURE-----\n\n{digest(b'no')}  AlmaLinux-9-GenericCloud-9.99-20991231.x86_64.qcow2\n"
    shop.files[f"{folder}CHECKSUM"] = (head + "\n".join(lines) + end + "-----END PGP SIGNATURE-----\n").encode()
