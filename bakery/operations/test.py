"""The tests of an image once more: ``bakery test``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from bakery.backends.base import Backend
from bakery.errors import BakeryError, UnknownFamily
from bakery.fluid_run.base import Cluster
from bakery.fluid_run.runner import run
from bakery.library.base import ImageRecord
from bakery.library.lookup import pick
from bakery.operations.bake import planned
from bakery.orders.build import run_from_json, run_order
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.results.model import RunResult
from bakery.settings import Settings


@dataclass(frozen=True)
class Retested:
    """The run, as far as it came (None: not even to a cluster), and the ``error`` that it ended with."""

    image: str
    result: RunResult | None
    error: BakeryError | None = None


def retest(
    wanted: str, backend: Backend, activity: Activity, hold: Callable[[Cluster], None] | None = None
) -> Retested:
    """Run today's tests of its recipe on the image that ``wanted`` fits; stored and recorded as those of an ``up``.

    ``hold`` may keep the cluster up, as in :func:`bakery.fluid_run.runner.run`. Raises InputError (there are no tests,
    the recipe is wrong) and BakeryError (there is no such image); what the run itself ends with is in the outcome.
    """
    settings, shelf = backend.settings, backend.library()
    name = pick(wanted, shelf.images(), shelf.families())
    image = shelf.find(name)
    if image is None:
        raise BakeryError(f"the image {name} is gone", hint="see: bakery library")
    order = order_for(image, settings)
    results: list[RunResult] = []
    error: BakeryError | None = None
    cluster = backend.clusters(open_shell=hold is not None)
    prove = partial(run, stack=settings.stack, on_result=results.append)
    try:
        (partial(prove, hold=hold) if hold else prove)(order, shelf, cluster, StatePaths(settings.state), activity)
    except BakeryError as failure:
        error = failure
    return Retested(name, results[-1] if results else None, error)


def order_for(image: ImageRecord, settings: Settings) -> RunOrder:
    """The tests of the image: those of its family in today's plan, else those of the last plan that had it."""
    try:
        plans = planned(settings, [image.candidate_for], locked=False)
    except UnknownFamily:  # its recipe is gone
        found = _last_order(image.name, StatePaths(settings.state))
        if found is None:
            raise
        return found
    today = next(plan for plan in plans if plan.family == image.candidate_for)
    return replace(run_order(today), image=image.name)


def _last_order(image: str, state: StatePaths) -> RunOrder | None:
    files = sorted(state.orders.glob(f"{image}-*.json"), key=lambda file: file.stat().st_mtime)
    return run_from_json(json.loads(files[-1].read_text(encoding="utf-8"))) if files else None
