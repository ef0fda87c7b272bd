"""Starts the machines of a local cluster: from boot snapshots where it can, else with a boot of each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bakery.errors import BakeryError, InfrastructureFailed, Interrupted, from_os_error
from bakery.fluid_run.clusters import mailbox
from bakery.fluid_run.clusters.boot_snapshots import BootSnapshot, BootSnapshots
from bakery.fluid_run.clusters.local_machine import MachineKind, machine, resume, save, snapshot_name
from bakery.fluid_run.clusters.run_spec import MachineSpec
from bakery.fluid_run.clusters.seed import SEED_BYTES
from bakery.host import boot_files, process
from bakery.host.boot_files import BootFiles
from bakery.host.files import discard
from bakery.progress.activity import Activity
from bakery.settings import Accelerator

SILENT_SECONDS = 180.0  # until a machine that continued must have reported; on an idle computer it needs a few
NOTES = "start.log"  # why machines boot that could continue from a snapshot


class MachineStarter:
    """Starts the machines of one run, whose files are in ``folder``. ``running`` has them by name."""

    def __init__(self, run_id: str, folder: Path, snapshots: BootSnapshots) -> None:
        self.run_id = run_id
        self.folder = folder
        self.snapshots = snapshots
        self.kind, self.started = MachineKind(Accelerator.TCG), 0.0  # known once the machines start
        self.running: dict[str, process.Running] = {}
        self._files: dict[Path, BootFiles] = {}  # by image
        self._extracting = threading.Lock()
        self._resumed: dict[str, BootSnapshot] = {}  # by machine

    def start(self, specs: Sequence[MachineSpec], image: Path, activity: Activity) -> None:
        """Start machines from an image. Raises BakeryError."""
        shapes = {(spec.cpus, spec.memory_mb): spec for spec in specs}
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            made = pool.map(lambda spec: self._snapshot(spec, image, activity), shapes.values())
            saved = dict(zip(shapes, made, strict=True))
            for _ in pool.map(lambda spec: self._start(spec, image, saved[spec.cpus, spec.memory_mb], activity), specs):
                self.started = time.monotonic()

    def stop(self) -> None:
        """Stop all machines at the same time. Idempotent."""
        if self.running:
            with ThreadPoolExecutor(len(self.running)) as pool:
                list(pool.map(process.Running.stop, self.running.values()))
        self.running.clear()
        self._drop_snapshots()

    def _snapshot(self, spec: MachineSpec, image: Path, activity: Activity) -> BootSnapshot | None:
        """Return the snapshot from which a machine can continue; None if none is wanted or can be made."""
        if self.snapshots.budget == 0 or not self.kind.has_snapshots:
            return None
        try:
            if (self.folder / "seed.tar").stat().st_size != SEED_BYTES:
                raise InfrastructureFailed(f"the seed disk has not {SEED_BYTES >> 30} GiB, as the saved one has")
            if found := self.snapshots.find(snapshot_name(spec, self.kind, image)):
                return found
            activity.say("testing: booting the first machine")
            files = self._boot_files(image, activity)
            return save(self.snapshots, spec, self.kind, image, files=files, activity=activity)
        except Interrupted:
            raise
        except (BakeryError, OSError) as error:
            self._note("all machines boot: no boot snapshot", error, activity)
            return None

    def _start(self, spec: MachineSpec, image: Path, saved: BootSnapshot | None, activity: Activity) -> None:
        activity.check()
        mailbox.make_disk(self.folder / f"{spec.name}.out")
        if saved is None or not self._resume(spec, saved, activity):
            files = self._boot_files(image, activity)
            made = machine(spec, files.root, self.kind, self.run_id, self.folder)
            self.running[spec.name] = made.start(image, files, self.kind.accelerator)

    def _resume(self, spec: MachineSpec, saved: BootSnapshot, activity: Activity) -> bool:
        """Start a machine from a snapshot; return whether that was possible, else the snapshot is deleted."""
        continued = partial(resume, saved, spec, self.kind, self.run_id)
        try:
            self.running[spec.name] = continued(folder=self.folder, activity=activity)
        except Interrupted:
            raise
        except (BakeryError, OSError) as error:
            self._note(f"{spec.name} boots: its boot snapshot can't be used", error, activity)
            discard(saved.folder)
            return False
        self._resumed[spec.name] = saved
        return True

    def _boot_files(self, image: Path, activity: Activity) -> BootFiles:
        with self._extracting:
            if image not in self._files:
                self._files[image] = boot_files.extract(image, self.folder / f"boot-{len(self._files)}", activity)
            return self._files[image]

    def _note(self, text: str, error: BakeryError | OSError, activity: Activity) -> None:
        """Say why machines boot, and write it to a log that is kept with the results."""
        why = from_os_error(error) if isinstance(error, OSError) else error
        activity.say(f"testing: {text}: {why.message}")
        with (self.folder / NOTES).open("a", encoding="utf-8") as log:
            log.write(f"{text}: {why.message}\n")

    def _drop_snapshots(self) -> None:
        """Delete the snapshots of machines that were silent for long, or with which the cluster failed: others boot."""
        silent = time.monotonic() - self.started > SILENT_SECONDS
        for name, saved in self._resumed.items():
            out = self.folder / f"{name}.out"
            record = mailbox.read_disk(out) if out.is_file() else {}
            if (record is None and silent) or (record and record.get("error") and record.get("blame") != "image"):
                discard(saved.folder)
        self._resumed.clear()
