"""Downloads of large files: once, with progress, resumed after an interruption (RFC 9110, section 14), and verified.

What has arrived is kept beside the target as ``<target>.part``, so that the next call continues. The target appears
when its checksum is right; a file with a wrong one is deleted.
"""

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from email.message import Message
from pathlib import Path
from typing import IO, Protocol

from bakery.errors import MAKE_ROOM, InfrastructureFailed, Uncertain, from_os_error
from bakery.progress.activity import Activity

TIMEOUT_SECONDS = 30
ATTEMPTS = 5  # without a byte between them
WAIT_SECONDS = 2.0  # before another attempt
CHUNK = 1 << 20  # bytes
SAID_SECONDS = 1.0  # between two lines of progress
MISSING = (404, 410)
GONE = "publishers remove old images: run bakery lock, or fix local.bases"
OFFLINE = "check the network and the proxy (https_proxy) of this computer, and try again"
LARGEST_TEXT = 16 << 20  # bytes of a listing or a file of checksums


class _Answer(Protocol):
    """What this module needs of an answer of urllib."""

    status: int
    headers: Message

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""


def read_text(url: str) -> str:
    """Return a small text. Raises InfrastructureFailed if it does not exist, Uncertain without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read(LARGEST_TEXT)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _refused(url, error) from error
    return body.decode("utf-8", "replace")


def checksum_of(file: Path, algorithm: str, activity: Activity | None = None) -> str:
    """Return ``<algorithm>:<hex>`` of a file's content, about a second for each GB. Raises OSError, Interrupted."""
    digest = hashlib.new(algorithm)
    with file.open("rb") as source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            if activity:
                activity.check()
    return f"{algorithm}:{digest.hexdigest()}"


def download(url: str, target: Path, checksum: str, activity: Activity) -> None:
    """Download a file whose checksum is ``sha256:<hex>`` or ``sha512:<hex>``, or empty if it is not known.

    An existing file with this checksum is kept. Raises InfrastructureFailed (no network, not found, wrong
    checksum, full disk), Interrupted.
    """
    part = target.with_name(f"{target.name}.part")
    algorithm = checksum.partition(":")[0]
    try:
        if checksum and target.is_file() and checksum_of(target, algorithm, activity) == checksum:
            return
        for _ in range(2):
            resumed = part.exists()
            _complete(url, part, activity)
            if not checksum:
                part.replace(target)
                return
            activity.say(f"checking {_name(url)}")
            found = checksum_of(part, algorithm, activity)
            if found == checksum:
                part.replace(target)
                return
            part.unlink()
            if not resumed:  # else it may be the rest of another file
                break
    except OSError as error:
        part.unlink(missing_ok=True)  # to give the room back
        raise from_os_error(error) from error
    message = f"the checksum of {url} is {found}, not {checksum}: the file was deleted"
    raise InfrastructureFailed(message, hint=f"try again; if it was replaced: {GONE}")


def _complete(url: str, part: Path, activity: Activity) -> None:
    """Add to ``part`` what is missing of the file. Raises InfrastructureFailed, Interrupted and OSError of the disk."""
    failed = 0
    while failed < ATTEMPTS:
        before = _size(part)
        request = urllib.request.Request(url, headers={"Range": f"bytes={before}-"} if before else {})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                total = _copy(answer, part, before, _progress(activity, url))
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                error.close()
                if error.headers.get("Content-Range") == f"bytes */{before}":
                    return
                part.unlink()
                continue
            raise _refused(url, error) from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ValueError) as error:
            total, reason = -1, error
        else:
            reason = ConnectionError("the connection was lost")
        if total == _size(part):
            return
        failed = 0 if _size(part) > before else failed + 1
        activity.sleep(WAIT_SECONDS if failed < ATTEMPTS else 0)
    got = f" after {_size(part) >> 20} MiB, from where the next attempt continues" if _size(part) else ""
    raise InfrastructureFailed(f"{url} can't be downloaded: {_words(reason)}{got}", hint=OFFLINE) from reason


def _copy(answer: _Answer, part: Path, before: int, say: Callable[[int, int], None]) -> int:
    """Append an answer; return the length of the whole file, the length that arrived if the server does not say it."""
    resumed = answer.status == http.client.PARTIAL_CONTENT
    length = answer.headers.get("Content-Length")
    done = before if resumed else 0
    total = done + int(length) if length else 0
    if total - done > shutil.disk_usage(part.parent).free:
        message = f"{(total - done) >> 20} MiB do not fit on the disk of {part.parent}"
        raise InfrastructureFailed(message, hint=MAKE_ROOM)
    with part.open("ab" if resumed else "wb") as sink:
        _pour(answer, sink, done, total, say)
    return total or _size(part)


def _pour(answer: _Answer, sink: IO[bytes], done: int, total: int, say: Callable[[int, int], None]) -> None:
    while True:
        try:
            chunk = answer.read(CHUNK)
        except http.client.IncompleteRead as error:
            chunk = error.partial
        except OSError as error:  # one of the network, which is not mistaken for one of the disk
            raise ConnectionError(str(error)) from error
        if not chunk:
            return
        sink.write(chunk)
        done += len(chunk)
        say(done, total)


def _progress(activity: Activity, url: str) -> Callable[[int, int], None]:
    """Return what reports the progress, at most once a second, and raises Interrupted."""
    said = 0.0

    def say(done: int, total: int) -> None:
        nonlocal said
        activity.check()
        if time.monotonic() - said >= SAID_SECONDS:
            said = time.monotonic()
            activity.say(f"downloading {_name(url)}: {done >> 20}" + (f" of {total >> 20}" if total else "") + " MiB")

    return say


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def _words(error: BaseException) -> str:
    return str(error.reason if isinstance(error, urllib.error.URLError) else error) or type(error).__name__


def _refused(url: str, error: Exception) -> InfrastructureFailed:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        message = f"{url} can't be read: {error.code} {error.reason}"
        return InfrastructureFailed(message, hint=GONE) if error.code in MISSING else Uncertain(message, hint=OFFLINE)
    return Uncertain(f"{url} can't be read: {_words(error)}", hint=OFFLINE)
