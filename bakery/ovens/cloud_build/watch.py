"""Watches all builds of one process with a single list call, follows their logs, and says why one failed."""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.cloud.devtools import cloudbuild_v1

from bakery.errors import (
    AccessRefused,
    BakeFailed,
    BakeryError,
    InfrastructureFailed,
    NoCapacity,
    StateChanged,
    Uncertain,
)
from bakery.host.google import Google, api_errors
from bakery.host.google_errors import Cause, cause_of_text, hint_of
from bakery.host.process import TAIL_LINES
from bakery.orders.model import BakeOrder
from bakery.ovens.cloud_build import builds
from bakery.progress.activity import Activity, growing_pause
from bakery.recipe import licence_servers, secrets

Status = cloudbuild_v1.Build.Status
ENDED = (
    Status.SUCCESS,
    Status.FAILURE,
    Status.INTERNAL_ERROR,
    Status.TIMEOUT,
    Status.CANCELLED,
    Status.EXPIRED,
)
LOG_SECONDS = 10.0  # at least between two looks at a build's log, and a second for each build that is watched
UNANSWERED_SECONDS = 900.0  # without any answer of Google, after which a wait gives up
PHASE = re.compile(r"==> \S+: (Provisioning with [^:]+|Creating image|Waiting for SSH|Creating instance|Deleting \w+)")
MACHINE_IS_THERE = ("Waiting for SSH", "Provisioning with")
INFRASTRUCTURE = (Status.INTERNAL_ERROR, Status.EXPIRED)
# Failures outside of the steps: what the build reads or writes is missing, or not granted yet.
Kind = cloudbuild_v1.Build.FailureInfo.FailureType
ACCESS = (Kind.FETCH_SOURCE_FAILED, Kind.LOGGING_FAILURE)
REFUSED = re.compile(r"\bgoogleapi: Error 403\b")
GRANTS = "see docs/google.md, Identities; new grants take some minutes to work"
# Faults of the infrastructure in Packer's words (of an operation, only its message), which no recipe can prevent.
INFRASTRUCTURE_FAULTS = re.compile(
    r"\b([qQ]uota( \S+ e|E)xceeded|QUOTA_EXCEEDED|rateLimitExceeded|backendError|Error 50[0234])\b"
)


def _nothing() -> None:
    """Do nothing: what no one waits for."""


class BuildWatch:
    """The builds with the tag ``session``, read every ``poll_seconds`` and shared by all waiting threads.

    In the first minute they are read more often, so that a build which fails at once is noticed at once.

    Quotas limit the calls of a project per minute: 64 bakes that each read their own build every few seconds would
    exceed them. A single list call, which returns all 64, does not. Of all their logs together, one is read a second.
    """

    def __init__(self, google: Google, session: str, poll_seconds: float) -> None:
        self.google = google
        self.session = session
        self.poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._due = 0.0  # when the list is read next; all threads wait for the same reading
        self._builds: dict[str, cloudbuild_v1.Build] = {}
        self._watched = 0

    def wait(
        self, build: cloudbuild_v1.Build, activity: Activity, *, joined: bool, made: Callable[[], None] = _nothing
    ) -> cloudbuild_v1.Build:
        """Wait for the end of a build and report its phase.

        ``made`` is called once, when the log says that the build's machine is there. Raises Interrupted, or Uncertain
        after 15 minutes without an answer.
        """
        with self._lock:
            self._watched += 1
        try:
            return self._wait(build, activity, joined=joined, made=made)
        finally:
            with self._lock:
                self._watched -= 1

    def _wait(
        self, build: cloudbuild_v1.Build, activity: Activity, *, joined: bool, made: Callable[[], None]
    ) -> cloudbuild_v1.Build:
        answered = read = time.monotonic()
        position, phase = 0, ""
        while True:
            try:
                current = self._single(build) if joined else self._listed(build)
                answered = time.monotonic()
            except Uncertain as error:
                if time.monotonic() - answered > UNANSWERED_SECONDS:
                    raise
                activity.say(f"the build continues, but its state can't be read: {error.message}")
                activity.sleep(self._pause())
                continue
            if current.status in ENDED:
                return current
            due = read + max(LOG_SECONDS, self._watched)
            if current.status == Status.WORKING and answered >= due:
                position, phase = self._follow(current, position, phase)
                read = answered
                if phase.startswith(MACHINE_IS_THERE):
                    made, called = _nothing, made
                    called()
            activity.say(phase or f"build {Status(current.status).name.lower()}")
            activity.sleep(self._pause() if joined else max(self._due - time.monotonic(), 0.0))

    def _pause(self) -> float:
        return growing_pause(self.poll_seconds, time.monotonic() - self._began)

    def tail(self, build: cloudbuild_v1.Build) -> tuple[str, ...]:
        """Return the last lines of a build's log, at most 40; empty if it can't be read."""
        return tuple(log_of(self.google, build).decode("utf-8", "replace").splitlines()[-TAIL_LINES:])

    def _listed(self, build: cloudbuild_v1.Build) -> cloudbuild_v1.Build:
        with self._lock:
            if time.monotonic() >= self._due:
                with api_errors("list builds"):
                    found = builds.listed(self.google, f'tags="{self.session}"')
                    self._builds = {one.id: one for one in found}
                self._due = time.monotonic() + self._pause()
            return self._builds.get(build.id, build)

    def _single(self, build: cloudbuild_v1.Build) -> cloudbuild_v1.Build:
        with api_errors(f"look at build {build.id}"):
            return builds.read(self.google, build.id)

    def _follow(self, build: cloudbuild_v1.Build, position: int, phase: str) -> tuple[int, str]:
        new = log_of(self.google, build, position)
        phases = PHASE.findall(new.decode("utf-8", "replace"))
        return position + len(new), phases[-1] if phases else phase


def log_of(google: Google, build: cloudbuild_v1.Build, start: int = 0) -> bytes:
    """Return a build's log from byte ``start``; empty if it does not exist yet, has nothing new or can't be read."""
    bucket, _, folder = build.logs_bucket.removeprefix("gs://").partition("/")
    name = f"{folder.rstrip('/')}/log-{build.id}.txt".lstrip("/")
    try:
        with api_errors("read the build's log"):
            return bytes(google.storage.bucket(bucket).blob(name).download_as_bytes(start=start))
    except BakeryError:
        return b""  # the log is only for users, the bake continues


def failure(build: cloudbuild_v1.Build, order: BakeOrder, tail: Sequence[str], stack: str) -> BakeryError:
    """Return the error for a failed build; ``tail`` are the last lines of its log.

    It is a BakeFailed if it is the fault of the recipe, and an InfrastructureFailed otherwise.
    """
    text = "\n".join(tail)
    details: Mapping[str, Any] = {
        "tail": tail,
        "log": build.log_url,
        "replay": f"bakery bake {order.family} --stack {stack}",
    }
    why = next((line.strip() for line in reversed(tail) if cause_of_text(line) is not Cause.OTHER), "")
    if cause_of_text(why) is Cause.CAPACITY:
        return NoCapacity(why, **details)
    # The messages of Packer without -force, and of Compute Engine when two images are created at the same time.
    if re.search(rf"\b{re.escape(order.name)}'? already exists", text):
        return StateChanged(f"{order.name} was created by another bake meanwhile, looking again", **details)
    if build.status == Status.CANCELLED:
        return InfrastructureFailed(f"the build of {order.name} was cancelled by another user or process", **details)
    detail = build.failure_info.detail or build.status_detail
    message = f"the build of {order.name} ended as {Status(build.status).name}" + (f": {detail}" if detail else "")
    servers = licence_servers.reported(text)
    if hint := _access(build, text, why):
        return AccessRefused(message, hint=hint, **details)
    if servers or why or build.status in INFRASTRUCTURE or INFRASTRUCTURE_FAULTS.search(text):
        message = "\n".join(servers) or message
        return InfrastructureFailed(message, hint=hint_of(cause_of_text(why), why), **details)
    return BakeFailed(secrets.left(text) or message, **details)


def _access(build: cloudbuild_v1.Build, text: str, why: str) -> str:
    """Return what to do if the build lacked access; "" if it failed for another reason, such as those in ``why``."""
    if cause_of_text(why) in (Cause.ACCESS, Cause.SERVICE):
        return hint_of(cause_of_text(why), why)
    return GRANTS if not why and (build.failure_info.type_ in ACCESS or REFUSED.search(text)) else ""
