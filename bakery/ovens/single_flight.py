"""At most one bake per digest across all processes that share a library: adopt, join, or bake."""

import time
from collections.abc import Callable
from pathlib import Path

from bakery.host import locks
from bakery.host.clock import utc_now
from bakery.library.base import ImageRecord, ImageState
from bakery.library.local.library import LocalLibrary
from bakery.orders.model import BakeOrder
from bakery.ovens.base import Bake, BakeOutcome
from bakery.ovens.local import scratch
from bakery.paths import StatePaths
from bakery.progress.activity import Activity


def record(order: BakeOrder, seconds: float) -> ImageRecord:
    """Return the library's record of a new candidate."""
    return ImageRecord(
        name=order.name,
        digest=order.digest,
        package=order.package,
        variant=order.variant,
        candidate_for=order.family,
        created=utc_now("seconds"),
        parent="" if order.base.external else order.base.name,
        bake_seconds=round(seconds, 1),
        labels=dict(order.labels),
        inputs=dict(order.inputs),
    )


def bake_once(
    order: BakeOrder,
    activity: Activity,
    state: StatePaths,
    library: LocalLibrary,
    bake: Callable[[BakeOrder, Activity, Path, Path], None],
    *,
    again: bool = False,
) -> Bake:
    """Return the image of ``order``; if it is missing, ``bake`` makes its file, which is moved into the library.

    If another family has an image of the same digest, both share its file and nothing is baked.
    ``bake`` gets a scratch folder, where it leaves the file as :data:`scratch.FINISHED`, and an empty log. If the file
    can't be published, the folder is kept, and the next call gets it with the file. If another process bakes the same
    digest, wait for it. If that bake fails or is killed, this process bakes. With ``again``, an image that exists is
    not taken: ``bake`` ends in an error. Raises the errors of ``bake``, and Interrupted.
    """
    log = state.logs / f"{order.name}.log"
    file = state.library / "bakes" / order.digest
    started = time.monotonic()
    with locks.hold(
        file, f"baking {order.name}", activity, lambda who: activity.say(f"joined the bake of another process: {who}")
    ) as waited:
        image = None if again else library.find(order.name)
        if image is not None and image.state is not ImageState.DELETED:
            outcome = BakeOutcome.JOINED if waited else BakeOutcome.ADOPTED
            return Bake(order.name, outcome, time.monotonic() - started, log if log.exists() else None)
        if not again and library.join(record(order, 0)):
            return Bake(order.name, BakeOutcome.ADOPTED, time.monotonic() - started)
        activity.check()
        began = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        with scratch.folder(state, order.name) as work:
            made = work / scratch.FINISHED
            if not (earlier := made.exists()):
                log.write_text("", encoding="utf-8")
            bake(order, activity, work, log)
            seconds = time.monotonic() - began
            activity.say("publishing")
            library.publish(record(order, 0 if earlier else seconds), made)
        return Bake(order.name, BakeOutcome.BAKED, seconds, log)
