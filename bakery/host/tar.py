"""Tar archives in memory."""

import io
import tarfile
from collections.abc import Iterable


def pack(files: Iterable[tuple[str, bytes, int]]) -> bytes:
    """Return a pax archive of files (path, content and mode) of root without times, padded to whole sectors."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content, mode in files:
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return sink.getvalue()
