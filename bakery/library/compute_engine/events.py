"""The bakery's events on Pub/Sub: an image was baked, tested or promoted, or its bake or test failed.

An event tells others at once; it is no record. What happened stands in the image's labels, in the results and in
BigQuery, so an event that can't be sent is told on the log and lost: it never fails what it is about. Shape:
``bakery/report/schemas/event.schema.json``.
"""

import json
import logging
from dataclasses import dataclass
from enum import StrEnum

from google.api_core import exceptions
from google.pubsub_v1.types import PubsubMessage

from bakery.errors import BakeryError
from bakery.host.clock import utc_now
from bakery.host.google import RETRY, Google, api_errors

VERSION = 1
SECONDS = 30.0  # for all tries of one message
_log = logging.getLogger(__name__)


class EventKind(StrEnum):
    """What happened."""

    BAKED = "baked"
    TESTED = "tested"
    PROMOTED = "promoted"
    FAILED = "failed"


@dataclass(frozen=True)
class Event:
    """One event. ``stage`` is "bake" or "test" of a FAILED one, ``before`` the image that a PROMOTED one follows.

    ``run_id`` and ``verdict`` are a Fluid-Run's, ``log`` is where to read on, ``reason`` why it failed; ``family`` is
    the one that the image was baked for unless it was promoted into another.
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


def tell(google: Google, event: Event) -> None:
    """Send an event; when that is not possible it is lost, with a warning on the log."""
    message = event.message(utc_now())
    topic = google.settings.topic_path
    try:
        with api_errors("send the event", reraise=(exceptions.NotFound,)):
            google.publisher.publish(topic=topic, messages=[message], retry=RETRY.with_timeout(SECONDS), timeout=10.0)
    except exceptions.NotFound:
        _log.warning("the event %s of %s is lost: there is no topic %s", event.kind, event.image, topic)
    except BakeryError as error:
        _log.warning("the event %s of %s is lost: %s", event.kind, event.image, error.message)
