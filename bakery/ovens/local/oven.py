"""The local oven: the recipe's own Packer template in a QEMU machine on this computer."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from bakery.errors import BakeFailed, BakeryError, InfrastructureFailed, PortTaken
from bakery.host import boot_files, process, qemu, slots
from bakery.library.local.library import LocalLibrary
from bakery.orders.model import BakeOrder
from bakery.ovens import single_flight
from bakery.ovens.base import Bake
from bakery.ovens.local import base_image, debug_machine, downloads, file_server, packer, qcow2, scratch, seed, template
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
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
        with ExitStack() as held:
            return single_flight.bake_once(
                order, activity, self.state, self.library, lambda: self._bake(order, activity, held)
            )

    def _bake(self, order: BakeOrder, activity: Activity, held: ExitStack) -> Path:
        """Bake; the returned file is in a scratch folder that is deleted when ``held`` is closed."""
        for tool in (qemu.QEMU, "qemu-img"):
            process.find_tool(tool, qemu.QEMU_HINT)
        packer.prepare()
        log = self._fresh_log(order)
        work = held.enter_context(scratch.folder(self.state, order.name))
        activity.say("staging")
        workspace = work / "workspace"
        stage(order.files, workspace)
        limit = slots.capacity(self.local)
        with (
            slots.take(self.local.cores, self.local.memory_mb, activity, limit),
            self._base(order, work, activity) as start,
            file_server.shared(order.variables, work) as variables,
        ):
            served = replace(order, variables=variables)
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._run(served, activity, work, start, log)
                    break
                except PortTaken:
                    if attempt == ATTEMPTS:
                        raise
            flat = qcow2.flatten(work / "output" / template.DISK_NAME, work / "flat.qcow2", activity, log)
            downloads.keep(order.template, order.variables, workspace, self.library.files.kept(order.name))
            return flat

    def _run(self, order: BakeOrder, activity: Activity, work: Path, start: base_image.Bootable, log: Path) -> None:
        """Call Packer once, up to a clean disk in ``work/output``."""
        shutil.rmtree(work / "output", ignore_errors=True)
        first = qemu.free_ports(1)[0]
        machine = template.BakeMachine(
            work=work,
            console=log.with_suffix(".console"),
            accelerator=qemu.accelerator(self.local),
            cores=self.local.cores,
            memory_mb=self.local.memory_mb,
            ports=(first, min(first + PORTS, 65535)),
            boot=start.boot,
        )
        rendering = template.render(order, machine, work / "workspace", sync_on_error=self.local.keep_failed)
        with log.open("a", encoding="utf-8") as sink:
            sink.writelines(f"bakery: {warning}\n" for warning in rendering.warnings)
        seed.make(work, rendering.user)
        qcow2.overlay(start.disk, machine.overlay, max(rendering.disk_gb, self.local.disk_gb))
        call = packer.Call(rendering, work, work / "workspace", log, order.timeout, self.local.keep_failed)
        try:
            packer.build(call, activity)
            _check_finished(machine.console, log)
        except BakeFailed as error:
            self._keep(machine, rendering, error)
            raise
        except InfrastructureFailed as error:  # no files are kept
            error.replay = f"bakery bake {order.family} --stack {self.settings.stack}"
            raise

    def _keep(self, machine: template.BakeMachine, rendering: template.Rendering, error: BakeryError) -> None:
        """Keep the files that replay a failed bake, and its machine if the settings ask for it."""
        disk = machine.output / template.DISK_NAME
        if not (self.local.keep_failed and disk.exists()):
            scratch.keep(machine.work)
            return
        try:
            pid, login = debug_machine.boot(machine, disk, rendering.user)
        except BakeryError as unbooted:  # the error of the bake is more important
            error.hint = f"its machine could not be left up: {unbooted.message}"
            scratch.keep(machine.work)
            return
        scratch.keep(machine.work, pid)
        error.hint = f"the machine is up; log in: {login}; the next up or `bakery recover` ends it"

    @contextmanager
    def _base(self, order: BakeOrder, work: Path, activity: Activity) -> Iterator[base_image.Bootable]:
        """Yield the disk that the bake starts from, protected from deletion meanwhile. Raises InfrastructureFailed."""
        if order.base.external:
            yield base_image.get(order.base, self.local, activity, self._log(order))
            return
        if self.library.find(order.base.name) is None:
            raise InfrastructureFailed(
                f"the parent image {order.base.name} is not in the library", hint="run up again; it is baked first"
            )
        with self.library.lease(order.base.name) as disk:
            yield base_image.Bootable(disk, boot_files.extract(disk, work / "boot", activity))

    def _log(self, order: BakeOrder) -> Path:
        return self.state.logs / f"{order.name}.log"

    def _fresh_log(self, order: BakeOrder) -> Path:
        log = self._log(order)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("", encoding="utf-8")
        return log


def _check_finished(console: Path, log: Path) -> None:
    """Raise BakeFailed unless the machine reported the end of its clean-up."""
    text = console.read_text(encoding="utf-8", errors="replace") if console.exists() else ""
    if DONE not in text:
        tail = tuple(line.rstrip() for line in text.splitlines()[-40:])
        hint = "the recipe may have broken sudo, apt or systemd; set local.keepFailed to look into the machine"
        raise BakeFailed("the image could not be cleaned", tail=tail, log=log, hint=hint)
