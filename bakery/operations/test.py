"""Tests an image of the library again: ``bakery test``."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bakery.backends.base import Backend
from bakery.codec import decode
from bakery.errors import BakeryError, UnknownFamily
from bakery.fluid_run.base import Cluster
from bakery.fluid_run.runner import run
from bakery.library.base import ImageRecord
from bakery.library.lookup import picked
from bakery.operations.bake import planned
from bakery.operations.logins import OPEN_SECONDS, lines
from bakery.orders.model import RunOrder, run_order
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.results.model import RunResult
from bakery.settings import Settings

Hold = Callable[[Sequence[str]], None]  # is called with a line on how to log in to each machine


@dataclass(frozen=True)
class Retested:
    """The run (None if it ended before a cluster was made), and the ``error`` that ended it."""

    image: str
    result: RunResult | None
    error: BakeryError | None = None


def retest(wanted: str, backend: Backend, activity: Activity, hold: Hold | None = None) -> Retested:
    """Run the current tests of its recipe on the image that ``wanted`` fits; the results are stored as those of an up.

    If ``hold`` is given, the cluster is torn down when that returns. Raises InputError (the recipe is invalid or has no
    tests) and BakeryError (the image does not exist); errors of the run itself are in the return value.
    """
    settings, library = backend.settings, backend.library()
    name = picked(wanted, library.listing()).source  # a channel's image has the verdict of what it was made from
    image = library.find(name)
    if image is None:
        raise BakeryError(f"the image {name} was deleted", hint="see: bakery library")
    order = order_for(image, settings)
    clusters = backend.clusters(open_seconds=OPEN_SECONDS if hold is not None else 0)
    state = StatePaths(settings.state)
    results: list[RunResult] = []

    def keep_up(cluster: Cluster) -> None:
        if hold is not None:
            hold(lines(cluster.logins()))

    try:
        run(order, library, clusters, state, activity, stack=settings.stack, on_result=results.append, hold=keep_up)
    except BakeryError as error:
        return Retested(name, results[-1] if results else None, error)
    return Retested(name, results[-1])


def order_for(image: ImageRecord, settings: Settings) -> RunOrder:
    """Return the tests of the image's family in the current plan, or those of the last plan that contained it."""
    try:
        plans = planned(settings, [image.candidate_for], locked=False)
    except UnknownFamily:  # the recipe was deleted
        last = _last_order(image.name, StatePaths(settings.state))
        if last is None:
            raise
        return last
    current = next(plan for plan in plans if plan.family == image.candidate_for)
    return replace(run_order(current), image=image.name)


def _last_order(image: str, state: StatePaths) -> RunOrder | None:
    files = sorted(state.orders.glob(f"{image}-*.json"), key=lambda file: file.stat().st_mtime)
    return decode(RunOrder, json.loads(files[-1].read_text(encoding="utf-8"))) if files else None
