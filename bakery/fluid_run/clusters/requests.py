"""What all test clusters of a process ask Google, with shared requests, see :mod:`bakery.host.batches`."""

import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from google.api_core import exceptions
from google.cloud.storage import Blob  # type: ignore[import-untyped]

from bakery.errors import NoCapacity
from bakery.fluid_run.clusters.instance import RUN_LABEL
from bakery.host.batches import Batches
from bakery.host.google import STORAGE_RETRY, Google, api_errors, ignore_missing
from bakery.host.pages import compute_items
from bakery.settings import Bucket

Instance = Mapping[str, Any]  # an instance, as Compute Engine answers it
MachineType = Mapping[str, Any]


class ClusterRequests:
    """Looks at machines, machine types and the objects of runs.

    ``folder`` is where all runs of this process keep their objects in the artifacts bucket, so that one list call finds
    those of all. Every method raises BakeryError and Uncertain.
    """

    def __init__(self, google: Google) -> None:
        self.folder = f"runs/{secrets.token_hex(6)}"
        self._google = google
        self.bucket = google.storage.bucket(google.settings.bucket(Bucket.ARTIFACTS))
        self._machines = Batches(self._listed_machines)
        self._objects = Batches(self._listed_objects)
        self._types: dict[tuple[str, str], MachineType] = {}
        self._lock = threading.Lock()

    def machines(self, zone: str, run: str) -> Mapping[str, Instance]:
        """Return the machines in a zone whose label has this token of a run, by name."""
        return {machine["name"]: machine for machine in self._machines.get((zone, run))}

    def objects(self, prefix: str) -> Sequence[Blob]:
        """Return the objects of a run, whose names begin with ``prefix`` and a slash."""
        return self._objects.get(prefix)

    def machine_type(self, zone: str, kind: str) -> MachineType:
        """Return a machine type, which never changes. Raises NoCapacity if the zone has none of this name."""
        with self._lock:  # also while it is read: the runs of an `up` have the same few types
            if (zone, kind) not in self._types:
                self._types[zone, kind] = self._read_type(zone, kind)
            return self._types[zone, kind]

    def _read_type(self, zone: str, kind: str) -> MachineType:
        with api_errors(f"look up the machine type {kind}"):
            try:
                return self._google.read_compute(f"zones/{zone}/machineTypes/{kind}")
            except exceptions.NotFound as error:
                raise NoCapacity(f"{zone} has no machine type {kind}") from error

    def _listed_machines(self, asked: Sequence[tuple[str, str]]) -> Sequence[Sequence[Instance]]:
        zones = dict.fromkeys(zone for zone, _ in asked)
        listed = {zone: self._in_zone(zone, [run for where, run in asked if where == zone]) for zone in zones}
        return [[one for one in listed[zone] if one.get("labels", {}).get(RUN_LABEL) == run] for zone, run in asked]

    def _in_zone(self, zone: str, runs: Sequence[str]) -> list[Instance]:
        own = " OR ".join(f"(labels.{RUN_LABEL} = {run})" for run in dict.fromkeys(runs))
        with api_errors("list the machines of the run"):
            return [*compute_items(self._google, f"zones/{zone}/instances", filter=own)]

    def _listed_objects(self, prefixes: Sequence[str]) -> Sequence[Sequence[Blob]]:
        top = prefixes[0] if len(set(prefixes)) == 1 else self.folder
        blobs: list[Blob] = []
        with ignore_missing("look for the status of the run"):
            blobs += self.bucket.list_blobs(prefix=f"{top}/", retry=STORAGE_RETRY)
        return [[blob for blob in blobs if blob.name.startswith(f"{prefix}/")] for prefix in prefixes]
