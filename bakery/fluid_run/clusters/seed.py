"""The seed of a run: the tar that every machine unpacks, with the agent, the run specification and the workspace."""

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from bakery.fluid_run import agent
from bakery.host.tar import add
from bakery.recipe.model import Json

AGENT = Path(agent.__file__).parent
# Started in the folder of the unpacked seed. -E and -s keep the image's own Python settings out.
AGENT_COMMAND = "python3 -E -s -m agent --run-spec run_spec.json"


def write_seed(sink: IO[bytes], run_spec: Mapping[str, Json], workspace: Path) -> None:
    """Write the tar; everything in it belongs to root, whatever account writes it."""
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for module in sorted(AGENT.glob("*.py")):
            add(tar, f"agent/{module.name}", module.read_bytes())
        add(tar, "run_spec.json", json.dumps(run_spec, indent=1).encode())
        tar.add(workspace, "workspace", filter=_owned_by_root)


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
