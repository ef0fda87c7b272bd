"""What the families of a project point at: the newest ACTIVE image that is in the family."""

from collections.abc import Callable, Iterable

from bakery.library.base import ImageRecord, ImageState
from bakery.library.compute_engine.images import ComputeImage, ImageRequests
from bakery.library.compute_engine.records import image_record

Wanted = Callable[[], bool]  # whether a stack wants the family
Note = Callable[[str], None]  # records what is about to be done, with the image that the family points at now


def active(images: Iterable[ComputeImage]) -> list[ImageRecord]:
    """Return the records of those that are ACTIVE, in the same order."""
    records = [image_record(image, {}) for image in images]
    return [record for record in records if record.state is ImageState.ACTIVE]


def point(
    images: ImageRequests, image: ComputeImage, others: Iterable[ComputeImage], family: str, now: str, *, note: Note
) -> str:
    """Put the image into the family and deprecate the family's other ACTIVE images, at the time ``now``.

    ``others`` are the family's images, oldest first. Return the newest of those that were deprecated, or "". If
    anything is to be changed, ``note`` is called before that.
    """
    before = [record for record in active(others) if record.name != image.name]
    if before or image.family != family or image.state not in ("", ImageState.ACTIVE):
        note(before[-1].name if before else "")
    if image.family != family:
        images.put_into(image.name, family)
    # A family points at its newest ACTIVE image, so this one becomes ACTIVE before the others are deprecated.
    if image.state not in ("", ImageState.ACTIVE):
        images.set_state(image.name, ImageState.ACTIVE)
    for record in before:
        images.set_state(record.name, ImageState.DEPRECATED, image.name, now)
    # Who promoted one of these at the same time may have deprecated this one: the family must not lose both.
    if before and not active(filter(None, [images.get(image.name)])):
        images.set_state(image.name, ImageState.ACTIVE)
    return before[-1].name if before else ""


def clear(images: ImageRequests, name: str, family: str, now: str, wanted: Wanted, *, note: Note) -> bool:
    """Let the family point at nothing if it points at the image and is not ``wanted``; return whether it was changed.

    Its other ACTIVE images are deprecated, and this one is taken out of it, so that no image resolves. ``note``
    is called before the first change.
    """
    records = active(images.of_family(family))
    if [record.name for record in records if record.digest][-1:] != [name] or wanted():
        return False
    note(name)
    for record in records:
        if record.name != name:
            images.set_state(record.name, ImageState.DEPRECATED, "", now)
    images.put_into(name, "")
    # Since the first look a stack may have found the family as it wants it.
    if wanted():
        images.put_into(name, family)
        return False
    image = images.get(name)
    if image is not None and image.family:  # Compute Engine was never seen to take an image out of its family
        images.set_state(name, ImageState.DEPRECATED, "", now)
    return True
