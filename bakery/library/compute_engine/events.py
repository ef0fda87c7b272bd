"""The bakery's events on Pub/Sub: an image was baked, tested or promoted, or its bake or test failed.

Events notify other systems; they are not records. Labels, results and BigQuery hold the facts. If an event can't be
sent, a warning is logged and the operation continues. Their schema is ``bakery/report/schemas/event.schema.json``.
"""

from __future__ import annotations

import atexit
import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bakery.errors import BakeryError
from bakery.host.clock import utc_now
from bakery.host.google import RETRY, Google, api_errors

if TYPE_CHECKING:
    from google.pubsub_v1.types import PubsubMessage

VERSION = 1
SECONDS = 30.0  # for all tries of one request
GATHER_SECONDS = 1.0  # that an event waits for others
_log = logging.getLogger(__name__)


class EventKind(StrEnum):
    """The kind of an event."""

    BAKED = "baked"
    TESTED = "tested"
    PROMOTED = "promoted"
    FAILED = "failed"


@dataclass(frozen=True)
class Event:
    """One event.

    ``stage`` is "bake" or "test" if the kind is FAILED, and ``before`` is the previous image of the family if it is
    PROMOTED. ``run_id`` and ``verdict`` are those of a Fluid-Run, ``log`` is the location of the log, ``reason`` is the
    reason of a failure. ``family`` is the family that the image was promoted into; if empty, the one it was baked for.
    """

    kind: EventKind
    image: str
    family: str = ""
    stage: str = ""
    verdict: str = ""
    reason: str = ""
    run_id: str = ""
    log: str = ""
    before: str = ""

    def message(self, time: str) -> PubsubMessage:
        """Return the message: all fields as JSON, and those that subscriptions filter by as attributes."""
        from google.pubsub_v1.types import PubsubMessage

        baked_for, _, digest = self.image.rpartition("-")
        family = self.family or baked_for
        more = ("stage", "verdict", "reason", "run_id", "log", "before")
        body = {
            "version": VERSION,
            "event": self.kind.value,
            "time": time,
            "image": self.image,
            "family": family,
            "digest": digest,
            **{name: value for name in more if (value := getattr(self, name))},
        }
        attributes = {"event": self.kind.value, "family": family, "image": self.image}
        return PubsubMessage(data=json.dumps(body).encode(), attributes=attributes)


class Outbox:
    """Sends events to the bakery's topic in the background: those of a second together, and at exit the rest."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._lock = threading.Lock()
        self._pending: list[tuple[Event, str]] = []
        self._sender: threading.Thread | None = None
        self._now = threading.Event()
        _outboxes.append(self)

    def send(self, event: Event, time: str) -> None:
        """Send an event that happened at that time, soon."""
        with self._lock:
            self._pending.append((event, time))
            if self._sender is None:
                self._sender = threading.Thread(target=self._send_all, name="events", daemon=True)
                self._sender.start()

    def flush(self) -> None:
        """Send what is left, and wait for the answer."""
        with self._lock:
            sender = self._sender
        if sender is not None:
            self._now.set()
            sender.join()
            self._now.clear()

    def _send_all(self) -> None:
        while True:
            self._now.wait(GATHER_SECONDS)
            with self._lock:
                sent, self._pending = self._pending, []
                if not sent:
                    self._sender = None
                    return
            self._publish(sent)

    def _publish(self, sent: Sequence[tuple[Event, str]]) -> None:
        topic = self._google.settings.topic_path
        try:
            with api_errors(f"send the event to {topic}"):
                self._google.publisher.publish(
                    topic=topic,
                    messages=[event.message(time) for event, time in sent],
                    retry=RETRY.with_timeout(SECONDS),
                    timeout=10.0,
                )
        except BakeryError as error:
            for event, _ in sent:
                _log.warning("the event %s of %s is lost: %s", event.kind, event.image, error.message)


def publish_event(google: Google, event: Event) -> None:
    """Publish an event soon; if that fails, a warning is logged."""
    google.shared(Outbox).send(event, utc_now())


def flush() -> None:
    """Send the events of this process that are left, at its end."""
    for outbox in _outboxes:
        outbox.flush()


_outboxes: list[Outbox] = []  # one for each project
atexit.register(flush)
