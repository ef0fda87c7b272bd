"""The seed of a run: the tar that every machine unpacks, with the agent, the run specification and the workspace."""

import hashlib
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from bakery.fluid_run import agent
from bakery.host.tar import add
from bakery.recipe.model import Json

AGENT = Path(agent.__file__).parent
SEED_BYTES = 64 << 30  # of a seed disk (sparse): a machine can continue with any disk of the size that it knows
# Started in the folder of the unpacked seed. -E and -s keep the image's own Python settings out.
AGENT_COMMAND = "python3 -E -s -m agent --run-spec run_spec.json"


def write_seed(sink: IO[bytes], run_spec: Mapping[str, Json], workspace: Path) -> None:
    """Write the tar; everything in it belongs to root, whatever account writes it."""
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add_agent(tar)
        add(tar, "run_spec.json", json.dumps(run_spec, indent=1).encode())
        tar.add(workspace, "workspace", filter=_owned_by_root)


def write_agent(sink: IO[bytes]) -> None:
    """Write a tar with the agent only, for a machine that waits for its seed."""
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add_agent(tar)


def agent_digest() -> str:
    """Return the digest of the agent."""
    return hashlib.sha256(b"".join(module.read_bytes() for module in _modules())).hexdigest()


def _add_agent(tar: tarfile.TarFile) -> None:
    for module in _modules():
        add(tar, f"agent/{module.name}", module.read_bytes())


def _modules() -> list[Path]:
    return sorted(AGENT.glob("*.py"))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
