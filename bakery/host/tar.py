"""Tar archives of files that are in memory."""

import io
import tarfile
from collections.abc import Iterable


def add(tar: tarfile.TarFile, path: str, content: bytes, mode: int = 0o644) -> None:
    """Add a file of root without times to an open archive."""
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def pack(files: Iterable[tuple[str, bytes, int]]) -> bytes:
    """Return a pax archive of files (path, content and mode) of root without times, padded to whole sectors."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content, mode in files:
            add(tar, path, content, mode)
    return sink.getvalue()
