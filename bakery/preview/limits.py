"""What the limits of a run do to a plan: an `up` that reaches one begins nothing more, and the next one continues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bakery.errors import Problem, Severity
from bakery.plan.summary import ImageSummary
from bakery.preview.check import as_problems
from bakery.preview.decide import forecast
from bakery.preview.model import Action, Decision
from bakery.settings import Settings

HINT = "an up that reaches it begins nothing more, and the next one continues; raise it for all in one"


def _one(_image: ImageSummary) -> int:
    return 1


def over_limits(
    settings: Settings,
    decisions: Sequence[Decision],
    times: Mapping[str, float],
    cluster: Callable[[ImageSummary], int] = _one,
) -> tuple[Problem, ...]:
    """Return a warning for each limit that the plan will reach, as far as it is known.

    ``times`` maps families to the seconds of their last bake; those of tests are not known. ``cluster`` returns the
    number of machines of an image's tests, which is at least one.
    """
    return as_problems(settings, _reached(settings, decisions, times, cluster), Severity.WARNING)


def _reached(
    settings: Settings,
    decisions: Sequence[Decision],
    times: Mapping[str, float],
    cluster: Callable[[ImageSummary], int],
) -> Iterator[tuple[str, str]]:
    limits = settings.limits
    if not any(limits):
        return
    baked = [one.image for one in decisions if one.action is Action.BAKE]
    tested = [one.image for one in decisions if one.action in (Action.BAKE, Action.TEST) and one.image.tests_digest]
    machines, seconds = len(baked) + sum(map(cluster, tested)), forecast(decisions, times).total
    if 0 < limits.machines < machines:
        text = f"bakes and tests need at least {machines} machines, the limit is {limits.machines}"
        yield f"limits.machines: {text}", HINT
    if 0 < limits.machine_seconds < seconds:
        text = f"the bakes took {seconds:.0f} seconds of machines last time, the limit is {limits.machine_seconds}"
        yield f"limits.machineSeconds: {text}", HINT
