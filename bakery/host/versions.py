"""A file of which earlier versions stay: the newest has a fixed name, each version one with its time and digest."""

import hashlib
from collections.abc import Callable

from bakery.host.clock import utc_now


def store(path: str, data: bytes, read: Callable[[str], bytes | None], write: Callable[[str, bytes], None]) -> bool:
    """Write ``data`` to ``path`` and as a version, unless it is there; return whether it was written.

    Versions are in the folder ``versions`` beside the file, where Terraform does not look for ``*.auto.tfvars.json``.
    ``read`` returns None for a file that does not exist. Raises what ``read`` and ``write`` raise.
    """
    if read(path) == data:
        return False
    folder, _, name = path.rpartition("/")
    stem, _, suffix = name.partition(".")
    time = utc_now("seconds").replace("-", "").replace(":", "")
    write(f"{folder}/versions/{stem}-{time}-{hashlib.sha256(data).hexdigest()[:12]}.{suffix}", data)
    write(path, data)
    return True
