"""``FluidRunTest``: a passed Fluid-Run of an image."""

import threading
from contextlib import suppress
from datetime import datetime
from functools import partial

import pulumi
from pulumi.dynamic import CreateResult, Resource

from bakery.backends import backend
from bakery.backends.source import take_proven
from bakery.codec import decode
from bakery.errors import BakeryError, UnprovenImage
from bakery.library.base import ImageRecord, Library, Proof
from bakery.library.proof import look_up
from bakery.library.proven import proven_by
from bakery.orders import files as order_files
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.preview.snapshot import LibrarySnapshot
from bakery.resources import progress
from bakery.resources.provider import (
    BakeryProvider,
    Props,
    created,
    library_of,
    read_order,
    reports_errors,
    settings,
    twin,
    when_allowed,
)
from bakery.results.model import RunResult, Verdict
from bakery.settings import Settings

AHEAD_SECONDS = 3.0  # after the first bake has begun
_loading = threading.Lock()  # the first bake takes it and keeps it


class FluidRunTestProvider(BakeryProvider):
    """Tests one image. The name of this class is in every state: never move it.

    ``smoke`` is the digest of tests that an image of another stack has to pass here, besides ``tests``, which prove it.
    """

    replaces = ("image", "tests", "smoke", "project")

    def stands(self, _held: LibrarySnapshot, _props: Props) -> bool:
        """Return whether the image passed these tests last."""
        return _held.proves(_props["image"], _props["tests"])

    @reports_errors
    def create(self, props: Props) -> CreateResult:
        """Run the tests, unless this image has passed the same tests before; those of another stack are taken."""
        if settings(props["urn"]).source_stack:
            run = _smoked(props) if props.get("smoke") else _taken(props)
            return CreateResult(f"{props['image']}-{props['tests']}", {**props, "run": run})
        order, library = _order(props), library_of(props["urn"])
        image, adopted = when_allowed(props["urn"], partial(_adopted, library, order))
        id_ = f"{props['image']}-{props['tests']}"
        created(props["urn"], id_, adopted is not None)
        return CreateResult(id_, {**props, "run": (adopted or _run(props, image)).run_id})

    @reports_errors
    def delete(self, _id: str, _props: Props) -> None:
        """Keep the results; run the tests again if the user forced the replacement of a test that had passed."""
        if twin(_props["urn"], _id) and (_props.get("smoke") or not settings(_props["urn"]).source_stack):
            _run(_props)


class FluidRunTest(Resource, module="bakery", name="FluidRunTest"):
    """A passed Fluid-Run. Inputs: the image, the digest of the tests, and the manifest of that digest."""

    image: pulumi.Output[str]
    tests: pulumi.Output[str]
    run: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(FluidRunTestProvider(), name, {"run": None, **props}, opts)


def load_ahead(stack: Settings) -> None:
    """Load the code of tests in the background while images are baked: all tests would wait a second for it."""

    def load() -> None:
        with suppress(BakeryError):  # a test tells what is wrong
            backend(stack).clusters()

    if _loading.acquire(blocking=False):
        timer = threading.Timer(AHEAD_SECONDS, load)
        timer.daemon = True
        timer.start()


def _order(props: Props) -> RunOrder:
    paths, tests = StatePaths(settings(props["urn"]).state), props.get("smoke") or props["tests"]
    return decode(RunOrder, read_order(order_files.run_file(paths, props["image"], tests)))


def _run(props: Props, image: ImageRecord | None = None) -> RunResult:
    # Imported here, so that the program, which only declares, starts faster.
    from bakery.fluid_run.runner import run as run_tests

    stack = settings(props["urn"])
    chosen, paths = backend(stack), StatePaths(stack.state)
    with progress.activity(props["urn"], f"Fluid-Run of {props['image']}") as activity:
        return run_tests(
            *(_order(props), chosen.library(), chosen.clusters(), paths, activity),
            image=image,
            stack=stack.stack,
            proves=props["tests"] if props.get("smoke") else "",
        )


def _smoked(props: Props) -> str:
    """Return the run in which the image of another stack passed its smoke tests here, which are run unless it has.

    The image has the proof of the other stack before, so that it needs no other tests. Raises ImageRejected.
    """
    library, order = library_of(props["urn"]), _order(props)
    image = when_allowed(props["urn"], partial(library.find, props["image"]))
    if image is None or image.proof is not Proof.FAILED:  # else a smoke test has failed before, and is tried again
        _taken(props)
        image = when_allowed(props["urn"], partial(library.find, props["image"]))
    run = passing_run(library, order, image) if image else None
    return (run or _run(props, image)).run_id


def _taken(props: Props) -> str:
    """Return the run that proves the image of another stack, which is taken with the proof unless it is here."""
    stack, name, tests = settings(props["urn"]), props["image"], props["tests"]
    library, required = library_of(props["urn"]), {name: tests}
    if when_allowed(props["urn"], partial(look_up, library, required)):
        when_allowed(props["urn"], partial(take_proven, backend(stack), name))
    if missing := look_up(library, required):
        hint = "run `pulumi up` again: the stack that it comes from has changed meanwhile"
        raise UnprovenImage(f"{name} is not proven: {missing}", hint=hint)
    return run.run_id if (run := proven_by(library, required).get(name)) else ""


def _adopted(library: Library, order: RunOrder) -> tuple[ImageRecord | None, RunResult | None]:
    """Return the image, and the run in which it passed these tests before."""
    image = library.find(order.image)
    return image, adopt_run(library, order, image) if image else None


def adopt_run(library: Library, order: RunOrder, image: ImageRecord) -> RunResult | None:
    """Return the newest passing run, see :func:`passing_run`; the library records it as the image's last verdict."""
    run = passing_run(library, order, image)
    if run is not None and look_up(library, {order.image: order.digest}):  # other tests have run since
        library.record_test(order.image, Proof.PASSED, order.digest)
    return run


def passing_run(library: Library, order: RunOrder, image: ImageRecord) -> RunResult | None:
    """Return the newest run in which ``image``, that of ``order``, passed these tests; None if they have to run.

    A run counts if the image still is the one that was tested (it was not baked again since) and if no later run has
    failed. An image that was never tested is proven by those of the same digest.
    """
    if image.proof is Proof.FAILED:
        return None
    proven = [image] if image.proof is Proof.PASSED else library.sharing(image.digest)
    at = datetime.fromisoformat  # texts with and without fractions of a second cannot be compared
    passed = [
        run
        for one in proven
        if one.proof is Proof.PASSED
        for run in library.runs(one.name)
        if run.tests_digest == order.digest and run.verdict is Verdict.PASSED and at(run.started) >= at(one.created)
    ]
    return max(passed, key=lambda run: at(run.started), default=None)
