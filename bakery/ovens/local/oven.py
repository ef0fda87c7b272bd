"""The local oven: the recipe's own Packer template, run for a machine or a container of this computer."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bakery.errors import (
    BakeFailed,
    BakeryError,
    BakeStopped,
    ContainerFailed,
    InfrastructureFailed,
    NoKernel,
    PortTaken,
)
from bakery.host import boot_files, process, qemu, slots
from bakery.host.boot_files import BootFiles
from bakery.host.budget import budget_of
from bakery.host.files import sync_to_disk
from bakery.host.hardware import Hardware, hardware_of
from bakery.library.local.library import LocalLibrary
from bakery.orders.model import BakeOrder
from bakery.ovens import licence_servers
from bakery.ovens.base import Bake
from bakery.ovens.local import base_image, cloud_image, container, file_server, isolation, layers, packer, scratch
from bakery.ovens.local.downloads import keep_downloads
from bakery.ovens.local.layer_names import LayerNames, layer_names
from bakery.ovens.local.layering import Layering
from bakery.ovens.local.machine import BakeMachine, boot_again, check_finished, flatten, make_overlay, make_seed
from bakery.ovens.local.secret_files import opened
from bakery.ovens.local.template import Rendering, render, reused
from bakery.ovens.single_flight import bake_once
from bakery.paths import StatePaths
from bakery.plan.image_labels import ARCHITECTURE_LABEL
from bakery.progress.activity import Activity
from bakery.recipe.model import Json
from bakery.recipe.stage import stage
from bakery.settings import Isolation, Settings

ATTEMPTS = 3  # of a bake whose port another process took first
PORTS = 20


@dataclass(frozen=True)
class _Job:
    """One bake: its order, the folder ``work`` for its files, its log, and the disk that it starts from.

    ``variables`` are those that were ordered; the order's own name what is served during this bake only.
    ``secrets`` are paths to those of the bake.
    """

    order: BakeOrder
    activity: Activity
    work: Path
    log: Path
    start: base_image.Bootable
    hardware: Hardware
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def console(self) -> Path:
        return self.log.with_suffix(".console")

    @property
    def flattening(self) -> Path:
        return self.work / "flattening.qcow2"

    def note(self, line: str) -> None:
        """Add a line of the bakery's own to the log."""
        with self.log.open("a", encoding="utf-8") as sink:
            sink.write(f"bakery: {line}\n")


class LocalOven:
    """Bakes in machines and containers of this computer, as many at the same time as it has slots.

    With ``stop``, each bake is a new one, and ends before the provisioner that it names, with its machine left up.
    """

    def __init__(self, settings: Settings, stop: str = "") -> None:
        self.stop = stop
        self.settings = settings
        self.local = settings.local
        self.network = settings.network.seen_from(file_server.HOST)
        self.state = StatePaths(settings.state)
        self.library = LocalLibrary(settings)

    def bake(self, order: BakeOrder, activity: Activity) -> Bake:
        """As :meth:`bakery.ovens.base.Oven.bake`."""
        try:
            return bake_once(order, activity, self.state, self.library, self._bake, again=bool(self.stop))
        except InfrastructureFailed as error:  # the files of a replay are not kept
            error.replay = self._replay(order)
            raise

    def _replay(self, order: BakeOrder) -> str:
        return f"bakery bake {order.family} --stack {self.settings.stack}"

    def _bake(self, order: BakeOrder, activity: Activity, work: Path, log: Path) -> None:
        if not (work / scratch.FINISHED).exists():
            self._make(order, activity, work, log)
        keep_downloads(order.template, order.variables, work / "workspace", self.library.files.kept(order.name))

    def _make(self, order: BakeOrder, activity: Activity, work: Path, log: Path) -> None:
        made_for = hardware_of(order.labels.get(ARCHITECTURE_LABEL, ""))
        for tool in (made_for.program, "qemu-img"):
            process.find_tool(tool, made_for.hint)
        packer.prepare(self.settings.network.mirrors.packer_plugins)
        licence_servers.check(order.licence_servers, activity)
        activity.say("staging")
        stage(order.files, work / "workspace")
        limit = slots.capacity(self.local)
        with (
            slots.take(self.local.cores, self.local.memory_mb, activity, limit),
            budget_of(self.settings).used(f"the bake of {order.name}"),
            self._base(order, activity, log) as start,
            file_server.shared(order.variables, work) as variables,
            opened(order.secrets, self.settings.root, work) as secrets,
        ):
            served = replace(order, variables=variables)
            flat = self._baked(_Job(served, activity, work, log, start, made_for, order.variables, secrets))
            sync_to_disk(flat)  # what is finished survives a power cut
            flat.rename(work / scratch.FINISHED)

    def _baked(self, job: _Job) -> Path:
        """Bake in a container or in a machine, and in a machine what a container can't do; return the image's file."""
        choice = isolation.choose(job.order, self.local, qemu.accelerator(self.local, hardware=job.hardware))
        job.note(f"baking in a {choice.isolation}: {choice.reason}")
        if choice.isolation is Isolation.MACHINE:
            return _retried(self._in_machine, job)
        try:
            return _retried(self._in_container, job)
        except (BakeFailed, ContainerFailed) as error:
            reason = "" if choice.fixed or isinstance(error, BakeStopped) else isolation.needs_machine(error)
            if not reason:
                error.replay = self._replay(job.order)
                self._keep_container(job, error)
                raise
        job.note(f"baking again, in a machine: {reason}")
        job.activity.say("baking again, in a machine")
        return _retried(self._in_machine, job)

    def _in_container(self, job: _Job) -> Path:
        """Call Packer once for a container; return the image's file."""
        baker = container.BakeContainer(
            *(job.work, job.console, self.local.cores, self.local.memory_mb, qemu.free_ports(1)[0])
        )
        layered = self._layered(job)
        rendering = self._render(job, baker.builder, borders=layered)
        container.make_seed(baker, rendering.user)
        with self._layering(job, baker, rendering, layered=layered) as layering:
            if done := layering.begin():
                job.note(reused(job.order, rendering, done))
            else:
                container.make_disk(job.start.disk, baker, self._size(rendering), job.activity, job.log)
            with container.started(baker, job.activity) as running:
                call = self._call(job, rendering.after(done) if done else rendering)
                border = partial(layering.take, running) if layered else None
                try:
                    packer.build(replace(call, alive=lambda: running.poll() is None, border=border), job.activity)
                except (BakeFailed, InfrastructureFailed) as error:
                    if running.poll() is not None:
                        raise container.failed("the container ended during the bake", baker, running) from error
                    if done and not error.hint:
                        error.hint = f"it began from a layer; to bake all of it: {self._replay(job.order)} --no-layers"
                    raise
                layering.take(running, len(rendering.provisioners), last=True)
                container.finish(baker, rendering.user, running, job.activity, job.log)
            return flatten((baker.disk,), job.flattening, job.activity, job.log)

    def _layered(self, job: _Job) -> bool:
        return job.order.layers and self.local.layers.budget_gb > 0

    def _layering(self, job: _Job, baker: container.BakeContainer, rendering: Rendering, *, layered: bool) -> Layering:
        """Return the bake's layers: none if it is not ``layered``, or if only Packer can evaluate its template."""
        found = LayerNames()
        if layered and not rendering.hcl2:
            ordered, mirrors = replace(job.order, variables=job.variables), self.network.mirrors.packages
            found = layer_names(ordered, job.start.disk, self._size(rendering), mirrors)
        if found.end:
            job.note(f"no layers from provisioner {len(found.names) + 1} on: {found.end}")
        if rendering.stop:
            found = LayerNames(found.names[: rendering.stop - 1])
        store = layers.layers(self.state, self.local.layers)
        return Layering(store, found, baker, rendering.user, job.activity, job.log, job.note)

    def _in_machine(self, job: _Job) -> Path:
        """Call Packer once for a machine; return the image's file."""
        if self._layered(job):
            job.note("no layers: only bakes in containers have them")
        shutil.rmtree(job.work / "output", ignore_errors=True)
        machine = self._machine(job)
        rendering = self._render(job, machine.builder)
        make_seed(job.work, rendering.user)
        make_overlay(job.start.disk, machine.overlay, self._size(rendering))
        call = self._call(job, rendering)
        try:
            packer.build(replace(call, accelerator=machine.accelerator, hardware=machine.hardware), job.activity)
            check_finished(machine.console, job.log)
        except BakeFailed as error:
            self._keep(machine, rendering, error)
            raise
        return flatten((machine.disk, job.start.disk), job.flattening, job.activity, job.log)

    def _render(self, job: _Job, builder: Json, *, borders: bool = False) -> Rendering:
        made = render(
            job.order,
            builder,
            job.work / "workspace",
            self.local.keep_failed,
            borders,
            given=job.secrets,
            network=self.network,
        )
        for warning in made.warnings:
            job.note(warning)
        return made.before(made.number(self.stop, "--break-before")) if self.stop else made

    def _size(self, rendering: Rendering) -> int:
        return max(rendering.disk_gb, self.local.disk_gb)

    def _call(self, job: _Job, rendering: Rendering) -> packer.PackerRun:
        files = (job.work, job.work / "workspace", job.log)
        return packer.PackerRun(rendering, *files, job.order.timeout, self.local.keep_failed, console=job.console)

    def _machine(self, job: _Job) -> BakeMachine:
        first = qemu.free_ports(1)[0]
        boot = None if job.start.cloud else job.start.boot or _boot_files(job)
        return BakeMachine(
            work=job.work,
            console=job.console,
            accelerator=qemu.accelerator(self.local, hardware=job.hardware),
            cores=self.local.cores,
            memory_mb=self.local.memory_mb,
            ports=(first, min(first + PORTS, 65535)),
            boot=boot,
            firmware=None if boot else cloud_image.firmware(job.start.disk, job.work, job.hardware),
            hardware=job.hardware,
        )

    def _keep_container(self, job: _Job, error: BakeryError) -> None:
        """Boot the disk of a failed bake in a machine if the settings ask for it."""
        if not self.local.keep_failed or not isinstance(error, BakeFailed):
            return
        machine = self._machine(job)
        rendering = self._render(job, machine.builder)
        make_seed(job.work, rendering.user)
        machine.disk.parent.mkdir(exist_ok=True)
        flatten((job.work / container.DISK_NAME,), machine.disk, job.activity, job.log)
        self._keep(machine, rendering, error)

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
    def _base(self, order: BakeOrder, activity: Activity, log: Path) -> Iterator[base_image.Bootable]:
        """Yield the disk that the bake starts from, protected from deletion meanwhile. Raises InfrastructureFailed."""
        if order.base.external:
            root, network = self.settings.root, self.settings.network
            yield base_image.get(order.base, self.local, activity, log, root, network=network)
            return
        if self.library.find(order.base.name) is None:
            missing = f"the parent image {order.base.name} is not in the library"
            raise InfrastructureFailed(missing, hint="run up again; it is baked first")
        with self.library.lease(order.base.name) as disk:
            yield base_image.Bootable(disk)


def _boot_files(job: _Job) -> BootFiles | None:
    """Return the kernel of the disk that a bake starts from; None if that was baked from a cloud image."""
    with suppress(NoKernel):
        files = boot_files.extract(job.start.disk, job.work / "boot", job.activity)
        return files if files.seeded else None
    return None


def _retried(bake: Callable[[_Job], Path], job: _Job) -> Path:
    """Return the result of ``bake``, whose port another process may take meanwhile."""
    for _ in range(ATTEMPTS - 1):
        with suppress(PortTaken):
            return bake(job)
    return bake(job)
