"""What the agent and the host agree on: names, limits, and the layout of a machine's raw out disk.

The host imports this module and no other one of the agent. The disk starts with two status slots, which are written in
turn; the tar of the results follows at :data:`RESULTS_AT`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

TYPE_CHECKING = False  # ``typing`` is not imported at run time: it takes half a second on an emulated machine
if TYPE_CHECKING:
    from typing import Any

    Json = Any
    RunSpec = Mapping[str, Json]
else:  # the agent's annotations are never evaluated
    Json = RunSpec = object

RESULTS_NAME = "agent-results.json"
SLOT = 32 * 1024  # bytes of each status slot
RESULTS_AT = 2 * SLOT
IDENTITY_SIZE = 4096  # bytes at the end of the first slot: what a machine that boots before its run waits for
IDENTITY_AT = SLOT - IDENTITY_SIZE
WAITING_MAC = "52:00:00:00:00:01"  # of its network card, until it has an identity
FILE_LIMIT = 16 * 1024 * 1024  # bytes; a larger output file is not sent, except the end of stdout and stderr
# Jobs of an upgrade, by the beginning of their output directory; a node's or a partition's name follows.
THROUGH = "upgrade/through-"  # occupies its node until the file RELEASE is in its output directory
AFTER = "upgrade/after-"  # is held until all nodes run the new image
RELEASE = "release"
TOTAL_LIMIT = 256 * 1024 * 1024  # bytes of all output files together


def record(sequence: int, content: Mapping[str, Json]) -> bytes:
    """Return a status as it is written on the disk: a line with sequence number, length and SHA-256, then JSON."""
    body = json.dumps(content).encode()
    return f"FLUIDRUN1 {sequence} {len(body)} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def read_record(slot: bytes) -> tuple[int, dict[str, Json]] | None:
    """Return sequence number and status of a slot; None if it is empty or only partly written."""
    head, _, rest = slot.partition(b"\n")
    words = head.split()
    if len(words) != 4 or words[0] != b"FLUIDRUN1":
        return None
    body = rest[: int(words[2])]
    if hashlib.sha256(body).hexdigest().encode() != words[3]:
        return None
    return int(words[1]), json.loads(body)
