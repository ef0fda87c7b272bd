"""What the quotas of the region do to a plan: what will never fit, and what has to wait for others.

Bakes wait for their parents, so what runs at the same time is at most a generation of images, and the tests of the one
before. A stack whose zones are in several regions is compared with the quotas of the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bakery.errors import BakeryError, Problem, Severity
from bakery.fluid_run.clusters.demand import demands, planned
from bakery.host.google import Google
from bakery.host.quota_metrics import MachineDemand, counted
from bakery.host.quotas import MORE, Limits, exceeded, granted, read
from bakery.orders.model import run_order
from bakery.ovens.cloud_build.demand import bake_machine
from bakery.plan.model import ImagePlan
from bakery.settings import Settings

TYPE_OF_MACHINE = "machine_type"


class _Work(NamedTuple):
    """A bake or a test of an image, with what it takes of each quota."""

    image: ImagePlan
    is_test: bool
    needs: Mapping[str, int]


def beyond(
    settings: Settings, google: Google, baked: Sequence[ImagePlan], tested: Sequence[ImagePlan]
) -> tuple[Problem, ...]:
    """Return a warning for each bake and test that can't fit into the quotas, and for each quota that makes some wait.

    Nothing is known if the quotas can't be read.
    """
    region = settings.google.bake_zones[0].rpartition("-")[0]
    try:
        limits = read(google, region) if baked or tested else {}
    except BakeryError:
        return ()
    known = granted(limits)
    work = [_Work(image, False, counted(_bake_machines(settings, image), known)) for image in baked]
    work += [_Work(image, True, counted(_test_machines(image), known)) for image in tested]
    fitting = [one for one in work if not exceeded(limits, one.needs)]
    never = [_never(one, limits, region) for one in work if one not in fitting]
    return (*never, *_waiting(settings, fitting, limits, region))


def _bake_machines(settings: Settings, image: ImagePlan) -> list[MachineDemand]:
    return [bake_machine(image.template, image.variables, spot=settings.google.spot)]


def _test_machines(image: ImagePlan) -> list[MachineDemand]:
    order = run_order(image)
    return [*demands(order, planned(order))]


def _never(one: _Work, limits: Limits, region: str) -> Problem:
    what = "tested: the test cluster" if one.is_test else "baked: its machine"
    needs = ", ".join(exceeded(limits, one.needs))
    text = f"{one.image.family} will not be {what} needs {needs} in {region}"
    file, line = _place(one)
    hint = f"use another {TYPE_OF_MACHINE}, {'fewer nodes, ' if one.is_test else ''}or {MORE}"
    return Problem(file, line, text, hint, Severity.WARNING)


def _place(one: _Work) -> tuple[str, int]:
    """Return the file and line that choose the machine: the first that names its type, else the template."""
    image = one.image
    files = {file.path: file for file in image.files}
    folder = image.template_path.rpartition("/")[0]
    named = [f"{folder}/recipe.yaml", f"{folder}/test/rcc.auto.tfvars"] if one.is_test else [image.template_path]
    for path in named:
        source = Path(files[path].source) if path in files else image.folder / path.removeprefix(f"{folder}/")
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines() if source.is_file() else []
        if line := next((number for number, text in enumerate(lines, 1) if TYPE_OF_MACHINE in text), 0):
            return path, line
    return image.template_path, 1


def _waiting(settings: Settings, work: Sequence[_Work], limits: Limits, region: str) -> Iterator[Problem]:
    """Yield a warning for each quota of which less is free than may be wanted at the same time."""
    depths = _depths([one.image for one in work])
    metrics = dict.fromkeys(metric for one in work for metric in one.needs if metric in limits)
    for metric in metrics:
        most = max(_at_once(settings, work, depths, metric, depth) for depth in range(max(depths.values()) + 2))
        free, limit = limits[metric].free, limits[metric].limit
        if most > free:
            used = "" if free == limit else f" ({limits[metric].usage:.0f} are in use)"
            text = f"bakes and tests may need {most} {metric} of {region} at the same time, the limit is {limit:.0f}"
            hint = f"they wait for each other; to avoid that, {MORE}"
            yield Problem(settings.file, 1, f"{settings.namespace}:google.region: {text}{used}", hint, Severity.WARNING)


def _depths(images: Collection[ImagePlan]) -> dict[str, int]:
    """Map the images to their generation: 0 if no other one of them is baked before."""
    parents = {image.name: image.base.name for image in images}
    depths: dict[str, int] = {}
    for name in parents:
        line = [name]
        while parents.get(line[-1]) in parents:
            line.append(parents[line[-1]])
        depths[name] = len(line) - 1
    return depths


def _at_once(settings: Settings, work: Sequence[_Work], depths: Mapping[str, int], metric: str, depth: int) -> int:
    """Return the most that bakes of a generation and tests of the one before take at the same time."""
    google = settings.google
    total = 0
    for is_test, at, limit in ((False, depth, google.bakes_at_once), (True, depth - 1, google.tests_at_once)):
        amounts = [one.needs.get(metric, 0) for one in work if one.is_test is is_test and depths[one.image.name] == at]
        total += sum(sorted(amounts, reverse=True)[: limit or None])
    return total
