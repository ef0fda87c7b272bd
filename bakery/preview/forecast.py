"""The expected time of an ``up``, from the recorded times of earlier bakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakery.preview.model import Action, Decision


@dataclass(frozen=True)
class Forecast:
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
    before: dict[str, str] = {}
    for image in baked:
        parent = image.base.family if not image.base.external and image.base.family in ends else ""
        ends[image.family] = ends.get(parent, 0.0) + times.get(image.family, 0.0)
        before[image.family] = parent
    last = max(ends, key=lambda family: ends[family], default="")
    path: list[str] = []
    at = last
    while at:
        path.insert(0, at)
        at = before[at]
    return Forecast(
        total=sum(times.get(image.family, 0.0) for image in baked),
        critical=ends.get(last, 0.0),
        critical_path=tuple(path),
        unknown=tuple(image.family for image in baked if image.family not in times),
    )
