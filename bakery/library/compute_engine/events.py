"""The bakery's events on Pub/Sub: an image was baked, tested or promoted, or its bake or test failed.

Events notify other systems; they are not records. Labels, results and BigQuery hold the facts. If an event can't be
sent, a warning is logged and the operation continues. Their schema is ``bakery/report/schemas/event.schema.json``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bakery.errors import BakeryError
from bakery.host.batches import Batches
from bakery.host.clock import utc_now
from bakery.host.google import RETRY, Google, api_errors

if TYPE_CHECKING:
    from google.pubsub_v1.types import PubsubMessage

VERSION = 1
SECONDS = 30.0  # for all tries of one request
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
    """Sends messages to the bakery's topic: those of many threads together."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._messages = Batches(self._publish, gather=1.0)  # nobody waits for an event

    def send(self, message: PubsubMessage) -> None:
        """Send a message and wait for the answer. Raises BakeryError."""
        self._messages.get(message)

    def _publish(self, messages: Sequence[PubsubMessage]) -> Sequence[None]:
        topic = self._google.settings.topic_path
        with api_errors(f"send the event to {topic}"):
            self._google.publisher.publish(
                topic=topic, messages=list(messages), retry=RETRY.with_timeout(SECONDS), timeout=10.0
            )
        return [None] * len(messages)


def publish_event(google: Google, event: Event) -> None:
    """Publish an event; if that fails, log a warning."""
    try:
        google.shared(Outbox).send(event.message(utc_now()))
    except BakeryError as error:
        _log.warning("the event %s of %s is lost: %s", event.kind, event.image, error.message)
