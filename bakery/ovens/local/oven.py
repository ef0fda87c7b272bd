"""The local oven: the recipe's own Packer template in a QEMU machine on this computer."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bakery.errors import BakeFailed, BakeryError, InfrastructureFailed, PortTaken
from bakery.host import boot_files, process, qemu, slots
from bakery.host.files import sync_to_disk
from bakery.library.local.library import LocalLibrary
from bakery.orders.model import BakeOrder
from bakery.ovens.base import Bake
from bakery.ovens.local import base_image, file_server, packer, scratch
from bakery.ovens.local.machine import BakeMachine, boot_again, flatten, make_overlay, make_seed
from bakery.ovens.local.template import Rendering, render
from bakery.ovens.single_flight import bake_once
from bakery.paths import StatePaths
from bakery.plan.template import downloaded_paths
from bakery.progress.activity import Activity
from bakery.recipe.model import Json
from bakery.recipe.stage import stage
from bakery.settings import Settings

ATTEMPTS = 3  # of a bake whose port another process took first
PORTS = 20
DONE = "bakery-finish: done"


class LocalOven:
    """Bakes in machines of this computer, as many at the same time as it has slots."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.local = settings.local
        self.state = StatePaths(settings.state)
        self.library = LocalLibrary(settings)

    def bake(self, order: BakeOrder, activity: Activity) -> Bake:
        """As :meth:`bakery.ovens.base.Oven.bake`."""
        try:
            return bake_once(order, activity, self.state, self.library, self._bake)
        except InfrastructureFailed as error:  # the files of a replay are not kept
            error.replay = f"bakery bake {order.family} --stack {self.settings.stack}"
            raise

    def _bake(self, order: BakeOrder, activity: Activity, work: Path, log: Path) -> None:
        if not (work / scratch.FINISHED).exists():
            self._make(order, activity, work, log)
        keep_downloads(order.template, order.variables, work / "workspace", self.library.files.kept(order.name))

    def _make(self, order: BakeOrder, activity: Activity, work: Path, log: Path) -> None:
        for tool in (qemu.QEMU, "qemu-img"):
            process.find_tool(tool, qemu.QEMU_HINT)
        packer.prepare()
        activity.say("staging")
        stage(order.files, work / "workspace")
        limit = slots.capacity(self.local)
        with (
            slots.take(self.local.cores, self.local.memory_mb, activity, limit),
            self._base(order, work, activity, log) as start,
            file_server.shared(order.variables, work) as variables,
        ):
            served = replace(order, variables=variables)
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    disk = self._run(served, activity, work, start, log)
                    break
                except PortTaken:
                    if attempt == ATTEMPTS:
                        raise
            flat = flatten(disk, start.disk, work / "flattening.qcow2", activity, log)
            sync_to_disk(flat)  # what is finished survives a power cut
            flat.rename(work / scratch.FINISHED)

    def _run(self, order: BakeOrder, activity: Activity, work: Path, start: base_image.Bootable, log: Path) -> Path:
        """Call Packer once; return the clean disk."""
        shutil.rmtree(work / "output", ignore_errors=True)
        first = qemu.free_ports(1)[0]
        machine = BakeMachine(
            work=work,
            console=log.with_suffix(".console"),
            accelerator=qemu.accelerator(self.local),
            cores=self.local.cores,
            memory_mb=self.local.memory_mb,
            ports=(first, min(first + PORTS, 65535)),
            boot=start.boot,
        )
        rendering = render(order, machine.builder, work / "workspace", sync_on_error=self.local.keep_failed)
        with log.open("a", encoding="utf-8") as sink:
            sink.writelines(f"bakery: {warning}\n" for warning in rendering.warnings)
        make_seed(work, rendering.user)
        make_overlay(start.disk, machine.overlay, max(rendering.disk_gb, self.local.disk_gb))
        call = packer.Call(
            *(rendering, work, work / "workspace", log, order.timeout, self.local.keep_failed),
            *(machine.accelerator, machine.console),
        )
        try:
            packer.build(call, activity)
            _check_finished(machine.console, log)
        except BakeFailed as error:
            self._keep(machine, rendering, error)
            raise
        return machine.disk

    def _keep(self, machine: BakeMachine, rendering: Rendering, error: BakeryError) -> None:
        """Keep the files that replay a failed bake, and its machine if the settings ask for it."""
        pid = None
        if self.local.keep_failed and machine.disk.exists():
            try:
                pid, login = boot_again(machine, rendering.user)
                error.hint = f"the machine is up; log in: {login}; the next up or `bakery recover` ends it"
            except BakeryError as unbooted:  # the error of the bake is more important
                error.hint = f"its machine could not be left up: {unbooted.message}"
        scratch.keep(machine.work, pid)

    @contextmanager
    def _base(self, order: BakeOrder, work: Path, activity: Activity, log: Path) -> Iterator[base_image.Bootable]:
        """Yield the disk that the bake starts from, protected from deletion meanwhile. Raises InfrastructureFailed."""
        if order.base.external:
            yield base_image.get(order.base, self.local, activity, log)
            return
        if self.library.find(order.base.name) is None:
            raise InfrastructureFailed(
                f"the parent image {order.base.name} is not in the library", hint="run up again; it is baked first"
            )
        with self.library.lease(order.base.name) as disk:
            yield base_image.Bootable(disk, boot_files.extract(disk, work / "boot", activity))


def keep_downloads(template: Json, variables: Mapping[str, str], workspace: Path, folder: Path) -> None:
    """Copy the files that a recipe downloads from the machine (``spack.lock``) from the workspace into ``folder``.

    They replace those of an earlier bake of the image. Raises InfrastructureFailed if they can't be written.
    """
    downloaded = [workspace / path for path in downloaded_paths(template, variables) if (workspace / path).is_file()]
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for file in downloaded:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / file.name)
    except OSError as error:
        raise InfrastructureFailed(
            f"{folder} can't be written: {error.strerror}", hint="check the free space of the disk"
        ) from error


def _check_finished(console: Path, log: Path) -> None:
    """Raise BakeFailed unless the machine reported the end of its clean-up."""
    text = console.read_text(encoding="utf-8", errors="replace") if console.exists() else ""
    if DONE not in text:
        tail = tuple(line.rstrip() for line in text.splitlines()[-40:])
        hint = "the recipe may have broken sudo, apt or systemd; set local.keepFailed to look into the machine"
        raise BakeFailed("the image could not be cleaned", tail=tail, log=log, hint=hint)
