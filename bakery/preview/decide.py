"""What an ``up`` does with each image of the plan, why, and how long it takes: the plan compared with the library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bakery.plan import digest
from bakery.plan.image_labels import DIGEST_IN_LABEL
from bakery.plan.summary import ImageSummary
from bakery.preview.model import Action, Decision

if TYPE_CHECKING:
    from bakery.library.base import ImageRecord, Revocation

OTHER_TESTS = "tests changed"
REASONS_SHOWN = 20  # of one image; a renamed folder changes hundreds of files


def decide(
    planned: Sequence[ImageSummary],
    images: Sequence[ImageRecord],
    families: Mapping[str, str],
    proven: Mapping[str, str] | None = None,
    tests: Mapping[str, Mapping[str, str]] | None = None,
    *,
    revoked: Mapping[str, Revocation] | None = None,
    shared: bool = False,
) -> tuple[Decision, ...]:
    """Return a decision for each image of the plan, in its order.

    ``images`` are those of the library, oldest first; ``families`` maps each family to the image it points at.
    ``proven`` maps image names to the digest (or its beginning) of the tests that the image passed last; without it, a
    passed test counts for the current tests. ``tests`` maps image names to the manifest of these tests, if known.
    ``revoked`` maps the end of image names to revocations: such an image has to be baked, and is only if it changes.
    With ``shared``, images of the same digest share a file, which is baked once.
    """
    known = {record.name: record for record in images}
    # An image of the same digest under another name is neither baked nor tested again; a proven one is preferred.
    # Records of Compute Engine, whose images cannot be shared, have only the beginning of the digest.
    twins = {record.digest: record for record in sorted(images, key=lambda record: record.proof == "passed")}
    latest = {record.candidate_for: record for record in images}
    fresh: set[str] = set()
    baked: dict[str, str] = {}  # digests of images that are baked, and their names
    decisions = []
    for image in planned:
        own = known.get(image.name)
        decided = own is not None and (own.proof != "untested" or not image.tests_digest)
        record = own if decided else twins.get(image.digest, own)
        if revocation := (revoked or {}).get(image.name.rpartition("-")[2]):
            fresh.add(image.family)
            action = Action.ADOPT if image.taken else Action.BAKE
            decisions.append(Decision(image, action, (f"{image.name} is revoked: {revocation.reason}",)))
            continue
        if image.taken:
            tested = own is not None and not why_tested(own, image.tests_digest, (proven or {}).get(own.name, ""))
            promoted = tested and families.get(image.family) == image.name
            decisions.append(Decision(image, Action.KEEP if promoted else Action.ADOPT, (image.taken.words,)))
        elif record is None and shared and image.digest in baked:
            fresh.add(image.family)
            action = Action.TEST if image.tests_digest else Action.ADOPT
            decisions.append(Decision(image, action, (f"{baked[image.digest]}, which is baked, has the same digest",)))
        elif record is None:
            baked[image.digest] = image.name
            before = known.get(families.get(image.family, "")) or latest.get(image.family)
            fresh.add(image.family)
            reasons = _why_baked(image, before, fresh)
            if same := twins.get(image.digest[:DIGEST_IN_LABEL]):
                reasons = (f"{same.name} has the same digest, but an image of Compute Engine has one family only",)
            decisions.append(Decision(image, Action.BAKE, reasons))
        else:
            promoted = record is own and families.get(image.family) == image.name
            why = why_tested(record, image.tests_digest, (proven or {}).get(record.name, ""))
            passed = (tests or {}).get(image.name, {}) if why == OTHER_TESTS else {}
            doubts = (_some(changes(passed, image.tests_inputs)) if passed else ()) or ((why,) if why else ())
            decisions.append(_existing(image, promoted, doubts, record.name))
    return tuple(decisions)


def _existing(image: ImageSummary, promoted: bool, doubts: tuple[str, ...], name: str) -> Decision:
    """Return the decision for an image that the library contains, perhaps under another ``name``."""
    if doubts:
        return Decision(image, Action.TEST, doubts)
    if promoted:
        return Decision(image, Action.KEEP, _old_rules(image))
    it = "it" if name == image.name else f"the same content as {image.name}"
    return Decision(
        image,
        Action.ADOPT,
        (f"the library has {name} already, {image.family} will point at {it}", *_old_rules(image)),
    )


def _old_rules(image: ImageSummary) -> tuple[str, ...]:
    """Return that the image is kept under old rules, if it is."""
    newest = digest.GENERATIONS[-1].generation
    if image.rules in {0, newest}:
        return ()
    return (f"proven under rules {image.rules}; would be baked under rules {newest} when its recipe changes",)


def why_tested(image: ImageRecord, tests: str, proven: str) -> str:
    """Return why the image still has to pass ``tests``, "" if it need not; both digests may be only beginnings.

    ``tests`` is empty without tests, ``proven`` are the tests of the last verdict, empty if unknown.
    """
    from bakery.library.base import Proof  # these are not needed by a plan without the library
    from bakery.library.proof import same_tests

    if not tests:
        return ""
    if image.proof is Proof.UNTESTED:
        return "baked, and not tested yet"
    if proven and not same_tests(tests, proven):
        return OTHER_TESTS
    return "the last Fluid-Run failed" if image.proof is Proof.FAILED else ""


def _why_baked(image: ImageSummary, before: ImageRecord | None, fresh: set[str]) -> tuple[str, ...]:
    if before is None:
        return (f"{image.family} has no image yet",)
    if not before.inputs:
        return (f"it is not known what {before.name} was baked from",)
    reasons = list(changes(before.inputs, image.inputs))
    if not image.base.external and image.base.family in fresh:
        own = f"base {image.base.family}"
        reasons = [f"parent {image.base.family} is baked", *(text for text in reasons if not text.startswith(own))]
    return _some(reasons) or (f"{before.name} had the same inputs in another form",)


def _some(reasons: Iterable[str]) -> tuple[str, ...]:
    """Return the first REASONS_SHOWN reasons, and the number of the others."""
    given = tuple(reasons)
    more = len(given) - REASONS_SHOWN
    return (*given[:REASONS_SHOWN], f"and {more} more") if more > 0 else given


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Yield the differences of two manifests in words: base first, then in the order of the newer manifest."""
    old_base, new_base = _base(before), _base(after)
    if old_base and new_base and old_base != new_base:
        yield f"base {old_base} became {new_base}"
    skipped = {f"base {old_base}", f"base {new_base}"} if old_base != new_base else set()
    for key in (*after, *(key for key in before if key not in after)):
        if key not in skipped and before.get(key) != after.get(key):
            yield _change(key, before.get(key), after.get(key))


def _base(inputs: Mapping[str, str]) -> str:
    return next((key.removeprefix("base ") for key in inputs if key.startswith("base ")), "")


def _change(key: str, before: str | None, after: str | None) -> str:
    if key == "nonce":
        return "forced by a new nonce" if after else "the nonce was removed"
    if before is None:
        return f"{key} is new"
    if after is None:
        return f"{key} is gone"
    if key.startswith("variable "):
        return f"{key} changed from {before or 'nothing'} to {after or 'nothing'}"
    if _mode(before) != _mode(after) and before.split()[0] == after.split()[0]:
        return f"{key} is executable now" if _mode(after) else f"{key} is no longer executable"
    return f"{key} changed"


def _mode(value: str) -> bool:
    return value.endswith(" executable")


class Forecast(NamedTuple):
    """Seconds of bakes. ``total`` is their sum; ``critical`` is the time of ``critical_path``, the longest chain.

    ``unknown`` are the families without a recorded time, which count as 0 seconds.
    """

    total: float = 0.0
    critical: float = 0.0
    critical_path: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def forecast(decisions: Sequence[Decision], times: Mapping[str, float]) -> Forecast:
    """Return the forecast. ``times`` maps families to the seconds of their last bake; parents precede children."""
    baked = [decision.image for decision in decisions if decision.action is Action.BAKE]
    ends: dict[str, float] = {}
    paths: dict[str, tuple[str, ...]] = {}
    for image in baked:
        parent = "" if image.base.external else image.base.family
        ends[image.family] = ends.get(parent, 0.0) + times.get(image.family, 0.0)
        paths[image.family] = (*paths.get(parent, ()), image.family)
    last = max(ends, key=lambda family: ends[family], default="")
    return Forecast(
        total=sum(times.get(image.family, 0.0) for image in baked),
        critical=ends.get(last, 0.0),
        critical_path=paths.get(last, ()),
        unknown=tuple(image.family for image in baked if image.family not in times),
    )
