"""Reads what an agent sends: status and results, from a raw disk or a folder."""

import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from bakery.fluid_run.agent import wire
from bakery.fluid_run.base import AgentStatus
from bakery.results.model import Stage

OUT_DISK_BYTES = wire.TOTAL_LIMIT + 64 * 1024 * 1024  # sparse: only what is written takes space


def make_disk(file: Path) -> None:
    """Make an empty out disk."""
    with file.open("wb") as disk:
        os.truncate(disk.fileno(), OUT_DISK_BYTES)


def give_identity(file: Path, identity: Mapping[str, Any]) -> None:
    """Write the identity of a machine that waits to its out disk."""
    with file.open("r+b") as disk:
        disk.seek(wire.IDENTITY_AT)
        disk.write(wire.record(0, identity).ljust(wire.IDENTITY_SIZE, b"\0"))


def read_disk(file: Path) -> dict[str, Any] | None:
    """Return the newest complete status on a disk; None if it has none yet."""
    with file.open("rb") as disk:
        head = disk.read(wire.RESULTS_AT)
    records = filter(None, (wire.read_record(head[: wire.SLOT]), wire.read_record(head[wire.SLOT :])))
    newest = max(records, key=lambda record: record[0], default=None)
    return newest[1] if newest else None


def unpack_disk(file: Path, folder: Path) -> None:
    """Unpack the results on a disk, if it has any. Of a truncated tar the first files are unpacked."""
    with file.open("rb") as disk:
        disk.seek(wire.RESULTS_AT)
        if disk.read(512).strip(b"\0"):
            disk.seek(wire.RESULTS_AT)
            unpack(disk, folder)


def unpack(source: Any, folder: Path) -> None:
    """Unpack a tar that a machine wrote: only regular files, and only below ``folder``.

    The tarfile module of Debian 12 has no extraction filters yet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=source, mode="r|") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.is_absolute() or ".." in path.parts:
                    continue
                content, file = tar.extractfile(member), folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("wb") as out:
                    shutil.copyfileobj(content, out)  # type: ignore[arg-type]  # a regular file has content
    except tarfile.TarError as error:
        (folder / "torn.txt").write_text(f"the results end early: {error}\n", encoding="utf-8")


def promote_results(controller: Path, folder: Path) -> None:
    """Move the results of the run from the controller's folder to the folder of the run."""
    for name in (wire.RESULTS_NAME, "outputs"):
        if (controller / name).exists():
            (controller / name).rename(folder / name)


def to_status(content: Mapping[str, Any] | None) -> AgentStatus:
    """Return the agent's status as a value; without a status the stage is START."""
    if content is None:
        return AgentStatus(Stage.START)
    return AgentStatus(
        stage=Stage(content.get("stage", Stage.START)),
        jobs_done=int(content.get("jobs_done", 0)),
        jobs_total=int(content.get("jobs_total", 0)),
        nodes_ready=int(content.get("nodes_ready", 0)),
        nodes_total=int(content.get("nodes_total", 0)),
        ended=bool(content.get("ended")),
        error=str(content.get("error", "")),
        image_fault=content.get("blame") == "image",
        reimage=str(content.get("reimage", "")),
    )


def read_results(folder: Path) -> dict[str, Any] | None:
    """Return the agent's ``agent-results.json`` in a collected folder; None if the agent did not write it."""
    file = folder / wire.RESULTS_NAME
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None
