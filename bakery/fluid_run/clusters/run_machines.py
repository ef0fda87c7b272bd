"""The machines of one Fluid-Run on Compute Engine, from the request to their deletion."""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from google.api_core import exceptions

from bakery.errors import BakeryError, InfrastructureFailed, NoCapacity
from bakery.fluid_run.clusters.instance import RunContext, instance, machine_name, token
from bakery.fluid_run.clusters.placement import Placements
from bakery.fluid_run.clusters.requests import ClusterRequests, Instance
from bakery.fluid_run.clusters.run_spec import MachineSpec
from bakery.host.compute_operation import Operation, delete_instance, has_ended, look, raise_fault
from bakery.host.google import CALLS_AT_ONCE, RETRY, Google, api_errors
from bakery.progress.activity import Activity, growing_pause

OPERATION_SECONDS = 300
POLL_SECONDS = 5.0
# What a machine needs was found, https://cloud.google.com/compute/docs/instances/instance-lifecycle
ACQUIRED = ("STAGING", "RUNNING")
SECURE_BOOT_POLICY = "constraints/compute.requireShieldedVm"
Machines = Mapping[str, Instance]  # by name


class RunMachines:
    """Makes the machines of a run, and deletes those that it requested."""

    def __init__(self, google: Google, requests: ClusterRequests) -> None:
        self._google = google
        self._requests = requests
        self._policies = Placements(google)
        self._zones: dict[str, str] = {}  # of the machines that were requested, by name
        self._run = ""  # the token of the run

    def make(self, run: RunContext, specs: Sequence[MachineSpec], activity: Activity) -> Machines:
        """Make all machines in the zone of ``run`` and return them. Raises NoCapacity, BakeryError, Interrupted."""
        self._run = token(run.run_id)
        self._policies.make(run, [part.name for part in run.shape.partitions if part.compact_placement])
        try:
            return self._wait(run, self._request_all(run, specs, activity), activity)
        except BakeryError as error:
            if SECURE_BOOT_POLICY not in error.message or run.secure_boot:
                raise
        return self.make(replace(run, secure_boot=True), specs, activity)

    def delete(self) -> None:
        """Delete the machines in every zone; Compute Engine deletes what is left at its deadline.

        A placement policy can only be deleted after the machines that have it.
        """
        for name, zone in self._zones.items():
            with contextlib.suppress(BakeryError):
                delete_instance(self._google, zone, name)
        if self._policies:
            with contextlib.suppress(BakeryError):
                self._wait_until_gone()
            self._policies.delete()
        self._zones.clear()

    def _wait_until_gone(self) -> None:
        """Wait until Compute Engine has deleted the machines. Raises BakeryError."""
        until = time.monotonic() + OPERATION_SECONDS
        while time.monotonic() < until and any(
            name in self._zones
            for zone in set(self._zones.values())
            for name in self._requests.machines(zone, self._run)
        ):
            time.sleep(POLL_SECONDS)

    def _wait(self, run: RunContext, operations: Mapping[str, Operation | None], activity: Activity) -> Machines:
        """Wait with the list of all machines; only if one is not in it, its operation is read: it says why."""
        began = time.monotonic()
        limit = run.wait_seconds + OPERATION_SECONDS
        while (waited := time.monotonic() - began) < limit:
            made = self._requests.machines(run.zone, token(run.run_id))
            states = {name: made[name]["status"] if name in made else "gone" for name in operations}
            if all(state in ACQUIRED for state in states.values()):
                return made
            pending = ("PENDING", "PROVISIONING", *ACQUIRED)  # the first: until there is capacity, with flex-start
            _raise_first(
                self._why(name, state, operations[name]) for name, state in states.items() if state not in pending
            )
            activity.sleep(growing_pause(POLL_SECONDS, waited))
        raise InfrastructureFailed(f"the machines have not started within {limit} s")

    def _request_all(
        self, run: RunContext, specs: Sequence[MachineSpec], activity: Activity
    ) -> Mapping[str, Operation | None]:
        activity.check()
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            futures = {machine_name(run.run_id, spec): pool.submit(self._request, run, spec) for spec in specs}
        _raise_first(future.exception() for future in futures.values())
        return {name: future.result() for name, future in futures.items()}

    def _request(self, run: RunContext, spec: MachineSpec) -> Operation | None:
        """Return the operation; None if an earlier request of this run made the machine."""
        body = instance(run, spec)
        self._zones[body["name"]] = run.zone
        try:
            with api_errors(f"make the machine {body['name']}", reraise=(exceptions.Conflict,)):
                return RETRY(self._google.change_compute)("POST", f"zones/{run.zone}/instances", body)
        except exceptions.Conflict:
            return None

    def _why(self, name: str, state: str, operation: Operation | None) -> BakeryError | None:
        """Return what the operation of a machine that does not exist ended with; None if it has not ended."""
        try:
            with api_errors(f"make the machine {name}"):
                if operation is not None and not has_ended(operation := look(self._google, operation)):
                    return None
                raise_fault(operation or {})
        except BakeryError as error:
            return error
        return InfrastructureFailed(f"the machine {name} is {state} before it has started")


def _raise_first(errors: Iterable[BaseException | None]) -> None:
    """Raise one of the errors: another zone may help against a lack of capacity, whatever the other errors are."""
    found = [error for error in errors if error is not None]
    for error in sorted(found, key=lambda error: not isinstance(error, NoCapacity)):
        raise error
