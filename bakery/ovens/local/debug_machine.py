"""The machine that a failed bake on this computer left up: how it is found, and how ssh reaches it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.orders.model import BakeOrder
from bakery.ovens.debug_machine import DebugMachine, Forwarded
from bakery.ovens.local import file_server, scratch
from bakery.ovens.local.machine import LOGIN
from bakery.ovens.local.secret_files import opened
from bakery.paths import StatePaths
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.settings import NetworkSettings
from bakery.settings.network import DIRECT


@dataclass(frozen=True)
class LocalReach:
    """A :class:`bakery.ovens.debug_machine.Reach` of a machine that runs in the scratch folder ``work`` of its bake.

    ``root`` is the folder of the stack, where files of secrets begin; ``port`` is that of its ssh.
    """

    state: StatePaths
    root: Path
    work: Path
    port: int
    program = "ssh"
    host = "127.0.0.1"
    cost = ""

    @property
    def options(self) -> Sequence[str]:
        """Name the port."""
        return ("-o", f"Port={self.port}")

    @property
    def console(self) -> str:
        """Return the file of its serial port."""
        return str(self.work / "console-kept.log")

    @contextmanager
    def forwarded(self, log: Path) -> Iterator[Forwarded]:
        """Yield the port that is open anyway."""
        yield Forwarded(self.port, self.is_up)

    @contextmanager
    def given(self, order: BakeOrder, folder: Path) -> Iterator[tuple[BakeOrder, Mapping[str, str]]]:
        """Serve folders of this computer, and open its secrets: the machine was booted again, and has none."""
        with (
            file_server.shared(order.variables, folder) as variables,
            opened(order.secrets, self.root, folder) as secrets,
        ):
            yield replace(order, variables=variables), secrets

    def is_up(self) -> bool:
        """Return whether its process runs."""
        return scratch.machine_of(self.work) is not None

    def end(self) -> None:
        """End its process and delete its folder."""
        scratch.clear(self.state, _image(self.work))


def find(state: StatePaths, root: Path, family: str, network: NetworkSettings = DIRECT) -> DebugMachine | None:
    """Return the machine of the last failed bake of the family that runs; None if none does."""
    found = [
        work
        for work in state.work.glob(f"{scratch.PREFIX}{family}-*-????????")
        if re.fullmatch(rf"{re.escape(scratch.PREFIX + family)}-[0-9a-f]{{{DIGEST_SHOWN}}}-\w{{8}}", work.name)
        and scratch.machine_of(work) is not None
        and (work / LOGIN).is_file()
    ]
    if not found:
        return None
    work = max(found, key=lambda one: one.stat().st_mtime)
    login = json.loads((work / LOGIN).read_text(encoding="utf-8"))
    reach = LocalReach(state, root, work, login["port"])
    return DebugMachine(_image(work), work, login["user"], reach, network.seen_from(file_server.HOST))


def _image(work: Path) -> str:
    return work.name.removeprefix(scratch.PREFIX).rpartition("-")[0]
