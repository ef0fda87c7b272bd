"""The back end on Google Cloud: Cloud Build bakes, Compute Engine tests and keeps the images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakery.paths import CLEARED_APART, StatePaths
from bakery.settings import Settings

if TYPE_CHECKING:
    from bakery.backends.base import Backend, FailedMachine, ImageLogs
    from bakery.backends.checks import Check
    from bakery.errors import Problem
    from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
    from bakery.library.base import ImageRecord
    from bakery.library.compute_engine.library import ComputeEngineLibrary
    from bakery.lock.resolve import ComputeEngineFamilies
    from bakery.ovens.base import DebugTerms
    from bakery.ovens.cloud_build.debug_oven import DebugOven
    from bakery.ovens.cloud_build.oven import CloudBuildOven
    from bakery.plan.address import Address
    from bakery.plan.model import ImagePlan, Plan


@dataclass(frozen=True)
class GoogleBackend:
    """A :class:`bakery.backends.base.Backend` in one project, which needs nothing of this machine."""

    settings: Settings

    @property
    def location(self) -> Mapping[str, str]:
        """Return the project: its images are not those of another one."""
        return {"project": self.settings.google.project}

    def oven(self) -> CloudBuildOven:
        """Return the oven that this process shares for the project."""
        from bakery.ovens.cloud_build.oven import shared_oven

        return shared_oven(self.settings)

    def library(self) -> ComputeEngineLibrary:
        """Return the library of Compute Engine images."""
        from bakery.library.compute_engine.library import ComputeEngineLibrary

        return ComputeEngineLibrary(self.settings)

    def existing_library(self) -> ComputeEngineLibrary:
        """Return the library: only Compute Engine knows whether it is empty."""
        return self.library()

    def damaged(self, *, contents: bool) -> list[str]:
        """Find nothing: Compute Engine keeps checksums of its images itself."""
        return []

    def refused(self, images: Sequence[ImagePlan]) -> list[str]:
        """Ask for the policies of the organisation."""
        from bakery.backends.google.policies import refused
        from bakery.host.google import clients

        return refused(clients(self.settings.google), images)

    def beyond_quotas(self, baked: Sequence[ImagePlan], tested: Sequence[ImagePlan]) -> tuple[Problem, ...]:
        """Compare with the quotas of the region."""
        from bakery.backends.google.quotas import beyond
        from bakery.host.google import clients

        return beyond(self.settings, clients(self.settings.google), baked, tested)

    def fetched(self, images: Sequence[ImagePlan]) -> Iterable[Address]:
        """Fetch images of build steps and Packer's plugins; base images are Google's own."""
        from bakery.ovens.cloud_build.addresses import addresses

        return addresses(self.settings, images)

    def clusters(self, *, open_seconds: int = 0) -> ComputeEngineClusters:
        """Return clusters of Compute Engine instances."""
        from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
        from bakery.host.google import clients

        return ComputeEngineClusters(self.settings, clients(self.settings.google), open_seconds)

    def resolver(self) -> ComputeEngineFamilies:
        """Return the resolver of Compute Engine's image families."""
        from bakery.lock.resolve import ComputeEngineFamilies

        return ComputeEngineFamilies(self.settings.google)

    def image_link(self, name: str, digest: str) -> str:
        """Return the image's name as Compute Engine and Terraform take it."""
        return f"projects/{self.settings.google.project}/global/images/{name}"

    def store_output(self, path: str, text: str) -> bool:
        """Store an object below ``outputs/`` of the artifacts bucket."""
        from bakery.host import google, versions
        from bakery.settings.google import Bucket

        bucket = google.clients(self.settings.google).storage.bucket(self.settings.google.bucket(Bucket.ARTIFACTS))

        def write(name: str, data: bytes) -> None:
            with google.api_errors(f"store gs://{bucket.name}/{name}"):
                bucket.blob(name).upload_from_string(data, "application/json", retry=google.STORAGE_RETRY)

        return versions.store(
            f"outputs/{path}", text.encode(), lambda name: google.fetched(bucket.blob(name), f"read {name}"), write
        )

    def declare(self, plan: Plan) -> Sequence[Any]:
        """Declare services, accounts, buckets, network and triggers, or nothing if another stack has them."""
        if self.settings.google.infrastructure:
            return ()
        from functools import partial

        from bakery.host import propagation
        from bakery.infrastructure.bakery import declare

        return declare(self.settings, plan, partial(propagation.note, StatePaths(self.settings.state).grants))

    def adopt(self, source: str, image: ImageRecord) -> ImageRecord:
        """Copy an image of this or another project."""
        from bakery.host.google import clients
        from bakery.library.compute_engine.adoption import adopt
        from bakery.library.compute_engine.images import ImageRequests

        return adopt(ImageRequests(clients(self.settings.google)), source, image)

    def take(self, name: str, source: Backend) -> bool:
        """Make an image from one of another project, or of this one with another prefix."""
        from bakery.errors import AccessRefused, BakeryError, Uncertain
        from bakery.library.compute_engine.library import ComputeEngineLibrary
        from bakery.library.compute_engine.release import take
        from bakery.settings.source_stack import missing_role

        library, project = self.library(), self.settings.google.project
        if not source.settings.in_project:
            hint = "name a stack of the same kind: Compute Engine takes no files"
            raise BakeryError(f"{name} is on this computer, and cannot get into the project {project}", hint=hint)
        try:
            return take(library, name, ComputeEngineLibrary(source.settings))
        except AccessRefused as error:
            role = missing_role(error.message, library.history.who, self.settings, source.settings)
            if not role:
                raise
            # No AccessRefused, which an up tries again while its own grants are young: it makes none elsewhere.
            raise Uncertain(error.message, hint=role) from error

    def debug_oven(self, terms: DebugTerms) -> DebugOven:
        """Let machines run until the deadline that Compute Engine enforces."""
        from bakery.ovens.cloud_build.debug_oven import DebugOven

        return DebugOven(self.settings, terms)

    def failed_machine(self, family: str) -> FailedMachine | None:
        """Look for one whose key is on this computer."""
        from bakery.host.google import clients
        from bakery.ovens.cloud_build.debug_machine import find

        return find(StatePaths(self.settings.state), clients(self.settings.google), family, self.settings.network)

    def logs(self, wanted: str) -> ImageLogs:
        """Return the newest build's log and the results in the artifacts bucket."""
        from bakery.backends.google.logs import find

        return find(self.settings, wanted)

    def checks(self) -> Iterator[Check]:
        """Require nothing."""
        yield from ()

    def prune_layers(self, *, dry_run: bool = False) -> int:
        """Delete nothing: Cloud Build keeps no layers."""
        return 0

    def recover(self, *, dry_run: bool = False) -> list[str]:
        """Delete machines and disks of builds, and placement policies of tests, that were cut short.

        Of machines that ``bakery debug`` keeps, those of the account of the credentials.
        """
        from bakery.fluid_run.clusters import placement
        from bakery.host.files import clear_half_written
        from bakery.host.google import clients
        from bakery.ovens.cloud_build import debug_machine, machines

        half = clear_half_written(self.settings.state, CLEARED_APART, dry_run=dry_run)
        google = clients(self.settings.google)
        baked = machines.clear(google, dry_run=dry_run, debugged=True)
        if not dry_run:
            debug_machine.forget(StatePaths(self.settings.state), google)
        return [*half, *baked, *placement.clear(google, dry_run=dry_run)]
