"""The oven on Google Cloud: Cloud Build runs the recipe's own build, Packer bakes on Compute Engine."""

import contextlib
import hashlib
import threading
import time
import uuid
from collections.abc import Sequence, Set
from functools import partial

from google.api_core import exceptions
from google.cloud.devtools import cloudbuild_v1

from bakery.errors import (
    AccessRefused,
    BakeFailed,
    BakeryError,
    InfrastructureFailed,
    Interrupted,
    NoCapacity,
    Preempted,
    StateChanged,
    Uncertain,
)
from bakery.host.batches import Batches
from bakery.host.budget import budget_of
from bakery.host.google import RETRY, Google, api_errors, clients
from bakery.host.google_errors import no_bucket
from bakery.host.propagation import patiently
from bakery.host.quota_metrics import MachineDemand, counted
from bakery.host.quotas import QuotaUse
from bakery.host.turns import Turns
from bakery.library.base import ImageRecord, ImageState
from bakery.library.compute_engine.events import Event, EventKind, publish_event
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.orders.model import BakeOrder
from bakery.ovens.base import Bake, BakeOutcome
from bakery.ovens.cloud_build import builds
from bakery.ovens.cloud_build import machines as bake_machines
from bakery.ovens.cloud_build.demand import bake_machine
from bakery.ovens.cloud_build.request import build_request, packer_template
from bakery.ovens.cloud_build.source import archive
from bakery.ovens.cloud_build.spot import labelled, preempted
from bakery.ovens.cloud_build.watch import BuildWatch, Status, failure
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.progress.deadline import passed
from bakery.recipe.model import Json
from bakery.settings import Bucket, GoogleSettings, Settings

RUNNING = (Status.PENDING, Status.QUEUED, Status.WORKING)
TRIES = 3  # searches for an image or a build to join, after the last result was gone
SUBMIT_AGAIN_SECONDS = 2.0
CANCEL = RETRY.with_timeout(30.0)  # a user who pressed Ctrl-C waits for it


class CloudBuildOven:
    """Bakes through Cloud Build. One object serves all bakes of a process; see :class:`bakery.ovens.base.Oven`."""

    def __init__(self, settings: Settings, google: Google | None = None, poll_seconds: float = 5.0) -> None:
        self.settings = settings
        self.google = google or clients(settings.google)
        self.library = ComputeEngineLibrary(settings, self.google)
        self._grants = StatePaths(settings.state).grants
        self.session = f"session-{uuid.uuid4().hex[:12]}"
        self.watch = BuildWatch(self.google, self.session, poll_seconds)
        self._looks = Batches(self._tagged)
        self._turns = Turns(settings.google.bakes_at_once, "google.bakesAtOnce")
        self._first = threading.Lock()  # the first bake takes it and keeps it

    def bake(self, order: BakeOrder, activity: Activity) -> Bake:
        """Adopt, join or bake; see :meth:`bakery.ovens.base.Oven.bake`."""
        began = time.monotonic()
        for left in reversed(range(TRIES)):
            try:
                outcome, build = patiently(self._grants, activity, lambda: self._try(order, activity))
                break
            except AccessRefused as error:
                raise self._publish_failure(error, order) from error
            except StateChanged as error:
                if not left:
                    raise
                activity.say(error.message)
        if build is None:
            return Bake(order.name, outcome, time.monotonic() - began)
        patiently(self._grants, activity, partial(self.library.keep_manifest, order.name, order.inputs))
        if outcome is BakeOutcome.BAKED:
            publish_event(self.google, Event(EventKind.BAKED, order.name, log=build.log_url))
        return Bake(order.name, outcome, time.monotonic() - began, build.log_url)

    def _try(self, order: BakeOrder, activity: Activity) -> tuple[BakeOutcome, cloudbuild_v1.Build | None]:
        activity.say("looking for the image")
        # The builds first, then the image: a build that ends in between has created its image by then.
        known = self._builds(order)
        running = builds.oldest(known, RUNNING)
        if running is not None:
            return BakeOutcome.JOINED, self._join(running, order, activity)
        existing = self.library.glance(order.name)  # Packer would not overwrite one that was made moments ago
        if existing is not None:
            return _adopted(existing)
        self._clear_once()
        with self._turns.held(activity):
            return self._bake(order, {build.id for build in known}, activity)

    def _bake(
        self, order: BakeOrder, known: set[str], activity: Activity
    ) -> tuple[BakeOutcome, cloudbuild_v1.Build | None]:
        """Bake, and once more on a standard machine if a spot machine was taken back or none was free.

        ``known`` are the image's builds that ended before.
        """
        machine = self._machine(order)
        if machine.spot:
            try:
                return self._in_zones(labelled(order, "spot"), machine, known, activity)
            except (Preempted, NoCapacity) as error:
                activity.say(f"{error.message}; baking it on a standard machine")
            order = labelled(order, "standard")
            known |= {build.id for build in self._builds(order) if build.status not in RUNNING}
        try:
            return self._in_zones(order, machine._replace(spot=False), known, activity)
        except NoCapacity as error:
            none = InfrastructureFailed(error.message, tail=error.tail, log=error.log)
            raise self._publish_failure(none, order) from error

    def _in_zones(
        self, order: BakeOrder, machine: MachineDemand, known: Set[str], activity: Activity
    ) -> tuple[BakeOutcome, cloudbuild_v1.Build | None]:
        """Bake in the first zone that has capacity. Raises NoCapacity if none has."""
        google, what = self.settings.google._replace(spot=machine.spot), f"the bake of {order.name}"
        zones, quotas, budget = google.bake_zones, self.google.shared(QuotaUse), budget_of(self.settings)
        for number, zone in enumerate(zones, 1):
            try:
                with quotas.held(zone, partial(counted, [machine]), what, activity), budget.used(what):
                    return self._submit_and_wait(order, google, zone, known, activity)
            except NoCapacity as error:
                if number == len(zones):
                    text = f"no zone of {', '.join(zones)} has capacity for {order.name}: {error.message}"
                    raise NoCapacity(text, tail=error.tail, log=error.log) from error
                activity.say(f"{zone} has no capacity, trying {zones[number]}")
        raise InfrastructureFailed("the settings name no zone", hint="set google.zones")

    def _submit_and_wait(
        self, order: BakeOrder, google: GoogleSettings, zone: str, known: Set[str], activity: Activity
    ) -> tuple[BakeOutcome, cloudbuild_v1.Build]:
        """Submit a build, or join one that was submitted first; ``known`` are the image's builds that ended before."""
        activity.say("uploading the source")
        source = self._upload(order, google, zone)
        activity.check()
        request = self._request(order, google, zone, source)
        mine = self._submit(builds.message(request, order.package), order, known, activity)
        # All processes that submit at the same time see the same builds: the oldest build wins, even if it has ended by
        # now, and the others join it.
        rivals = [build for build in self._builds(order) if build.id not in known]
        first = builds.oldest(rivals, (*RUNNING, Status.SUCCESS)) or mine
        if first.id != mine.id:
            self._cancel(mine)
            return BakeOutcome.JOINED, self._join(first, order, activity)
        return BakeOutcome.BAKED, self._wait(mine, order, activity)

    def _request(self, order: BakeOrder, google: GoogleSettings, zone: str, source: str) -> Json:
        """Return the build to submit."""
        return build_request(order, google, zone, source, self.session, network=self.settings.network)

    def _template(self, order: BakeOrder, google: GoogleSettings, zone: str) -> Json:
        """Return the template that the build runs."""
        return packer_template(order, google, zone, self.settings.network)

    def _machine(self, order: BakeOrder) -> MachineDemand:
        return bake_machine(order.template, order.variables, spot=self.settings.google.spot)

    def _submit(
        self, build: cloudbuild_v1.Build, order: BakeOrder, known: Set[str], activity: Activity
    ) -> cloudbuild_v1.Build:
        """Submit, and again without an answer; the tags identify a build whose answer was lost."""
        for left in reversed(range(TRIES)):
            try:
                with api_errors(f"submit the build of {order.name}"):
                    return builds.create(self.google, build)
            except Uncertain:
                if not left:
                    raise
            activity.sleep(SUBMIT_AGAIN_SECONDS)
            if mine := [one for one in self._builds(order) if self.session in one.tags and one.id not in known]:
                return mine[0]
        raise AssertionError("not reached")

    def _builds(self, order: BakeOrder) -> Sequence[cloudbuild_v1.Build]:
        """Return all builds of the image, of all processes, ended ones too; another family may have the same digest."""
        return self._looks.get(order.name)

    def _tagged(self, tags: Sequence[str]) -> Sequence[Sequence[cloudbuild_v1.Build]]:
        condition = " OR ".join(f'tags="{tag}"' for tag in dict.fromkeys(tags))
        with api_errors("list builds"):
            found = builds.listed(self.google, condition)
        return [[build for build in found if tag in build.tags] for tag in tags]

    def _join(self, build: cloudbuild_v1.Build, order: BakeOrder, activity: Activity) -> cloudbuild_v1.Build:
        """Wait for the build of another process; its result is that of this bake, unless it was cancelled."""
        activity.say("joined a running build")
        done = self.watch.wait(build, activity, joined=True)
        if done.status == Status.CANCELLED:
            raise StateChanged("the build that was joined is cancelled, looking again", log=done.log_url)
        try:
            return self._ended(done, order)
        except (NoCapacity, Preempted) as error:
            text = "the build that was joined found no capacity, or lost its machine, looking again"
            raise StateChanged(text, tail=error.tail, log=error.log) from error

    def _wait(self, build: cloudbuild_v1.Build, order: BakeOrder, activity: Activity) -> cloudbuild_v1.Build:
        """Wait for the build of this process, and cancel it on an interruption."""
        try:
            made = partial(bake_machines.label_disk, self.google, build, order.package)
            done = self.watch.wait(build, activity, joined=False, made=made)
        except Interrupted:
            if not passed():  # a build that outlasts this run is joined by the next one
                self._cancel(build)
            raise
        try:
            return self._ended(done, order)
        except (BakeFailed, InfrastructureFailed) as error:
            if not isinstance(error, (NoCapacity, Preempted, StateChanged, Uncertain)):
                self._publish_failure(error, order)
            raise

    def _publish_failure(self, error: BakeryError, order: BakeOrder) -> BakeryError:
        publish_event(
            self.google,
            Event(EventKind.FAILED, order.name, stage="bake", reason=error.message, log=str(error.log or "")),
        )
        return error

    def _ended(self, done: cloudbuild_v1.Build, order: BakeOrder) -> cloudbuild_v1.Build:
        """Return the build if it succeeded and its image exists. Raises BakeFailed and InfrastructureFailed."""
        if done.status != Status.SUCCESS:
            self._delete_machine(done)
            tail = self.watch.tail(done)
            if preempted(self.google, done, tail):
                text = f"Compute Engine took back the spot machine of {order.name}"
                raise Preempted(text, tail=tail, log=done.log_url)
            raise failure(done, order, tail, self.settings.stack)
        if self.library.find(order.name) is None:
            raise BakeFailed(
                f"the build of {order.name} succeeded but created no image of that name",
                hint="use -var image_name=${_IMAGE_NAME} in its Packer step",
                log=done.log_url,
            )
        return done

    def _cancel(self, build: cloudbuild_v1.Build) -> None:
        ended = (exceptions.FailedPrecondition, exceptions.BadRequest, exceptions.NotFound)  # it ended meanwhile
        with contextlib.suppress(*ended), api_errors(f"cancel build {build.id}", reraise=ended):
            builds.cancel(self.google, build.id, CANCEL)
        self._delete_machine(build)

    def _delete_machine(self, build: cloudbuild_v1.Build) -> None:
        """Delete the machine of an ended build; Compute Engine deletes it at its deadline if that fails now."""
        with contextlib.suppress(BakeryError):
            bake_machines.delete(self.google, build)

    def _clear_once(self) -> None:
        """Delete what earlier builds left, before the first bake of a process."""
        if self._first.acquire(blocking=False):
            with contextlib.suppress(BakeryError):  # trigger accounts may not, and it must not block the bake
                bake_machines.clear(self.google)

    def _upload(self, order: BakeOrder, google: GoogleSettings, zone: str) -> str:
        """Upload the source to the bucket, once per content, and return the object's name."""
        content = archive(order, self._template(order, google, zone))
        name = f"{hashlib.sha256(content).hexdigest()}.tar.gz"
        bucket = self.google.storage.bucket(self.settings.google.bucket(Bucket.SOURCES))
        reraise = (exceptions.PreconditionFailed, exceptions.NotFound)
        uploaded = contextlib.suppress(exceptions.PreconditionFailed)  # the same content was uploaded before
        try:
            with uploaded, api_errors(f"upload the source of {order.name}", reraise=reraise):
                bucket.blob(name).upload_from_string(content, content_type="application/gzip", if_generation_match=0)
        except exceptions.NotFound as error:
            raise no_bucket(bucket.name) from error
        return name


_shared: dict[tuple[str, str], CloudBuildOven] = {}
_shared_lock = threading.Lock()


def shared_oven(settings: Settings) -> CloudBuildOven:
    """Return the process's only oven for a project: its bakes share clients, and one list call watches them all."""
    with _shared_lock:
        key = (settings.google.project, settings.google.endpoint)
        if key not in _shared:
            _shared[key] = CloudBuildOven(settings)
        return _shared[key]


def _adopted(image: ImageRecord) -> tuple[BakeOutcome, None]:
    if image.state is ImageState.DELETED:  # not by the bakery, which deletes images completely
        hint = f"to bake it again, run: gcloud compute images delete {image.name}"
        message = f"{image.name} is marked as DELETED: it can't be booted and its name can't be used"
        raise InfrastructureFailed(message, hint=hint)
    return BakeOutcome.ADOPTED, None
