"""``FluidRunTest``: a passed Fluid-Run of an image."""

from datetime import datetime

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource

from bakery.backends import backend
from bakery.codec import decode
from bakery.errors import Uncertain
from bakery.library.base import Library, Proof
from bakery.library.proof import look_up
from bakery.orders import files as order_files
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.resources import progress
from bakery.resources.provider import BakeryProvider, Props, difference, read_order, reports_errors, settings
from bakery.results.model import RunResult, Verdict

REPLACES = ("image", "tests", "project")


class FluidRunTestProvider(BakeryProvider):
    """Tests one image. The name of this class is in every state: never move it."""

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Replace the test if the image, its tests or the project changes."""
        return difference(_olds, _news, replaces=REPLACES)

    @reports_errors
    def create(self, props: Props) -> CreateResult:
        """Run the tests, unless this image has passed the same tests before."""
        # Imported here, so that the program, which only declares, starts faster.
        from bakery.fluid_run.runner import run as run_tests

        stack = settings(props["urn"])
        paths = StatePaths(stack.state)
        order = decode(RunOrder, read_order(order_files.run_file(paths, props["image"], props["tests"])))
        library = backend(stack).library()
        run = passing_run(library, order)
        if run is None:
            with progress.activity(props["urn"], f"Fluid-Run of {order.image}") as activity:
                run = run_tests(order, library, backend(stack).clusters(), paths, activity, stack=stack.stack)
        elif look_up(library, {order.image: order.digest}):  # another stack has run other tests since
            library.record_test(order.image, Proof.PASSED, order.digest)
        return CreateResult(f"{order.image}-{props['tests']}", {**props, "run": run.run_id})

    @reports_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """Keep the resource unless the image is certainly gone, or has failed its tests since."""
        try:
            image = backend(settings(props["urn"])).library().find(props["image"])
        except Uncertain as error:
            progress.engine().warn(
                props["urn"], f"cannot check the tests of {props['image']}, so they are kept: {error}"
            )
            return ReadResult(id_, props)
        if image is None or image.proof is not Proof.PASSED:
            return ReadResult("", {})
        return ReadResult(id_, props)

    def delete(self, _id: str, _props: Props) -> None:
        """Do nothing: the results stay in the library."""


class FluidRunTest(Resource, module="bakery", name="FluidRunTest"):
    """A passed Fluid-Run. Inputs: the image, the digest of the tests, and the manifest of that digest."""

    image: pulumi.Output[str]
    tests: pulumi.Output[str]
    run: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(FluidRunTestProvider(), name, {"run": None, **props}, opts)


def passing_run(library: Library, order: RunOrder) -> RunResult | None:
    """Return the newest run in which the image of ``order`` passed these tests, or None if they have to run.

    A run counts if the image still is the one that was tested (it was not baked again since) and if no later run has
    failed.
    """
    image = library.find(order.image)
    if image is None or image.proof is not Proof.PASSED:
        return None
    at = datetime.fromisoformat  # texts with and without fractions of a second cannot be compared
    passed = [
        run
        for run in library.runs(order.image)
        if run.tests_digest == order.digest and run.verdict is Verdict.PASSED and at(run.started) >= at(image.created)
    ]
    return max(passed, key=lambda run: at(run.started), default=None)
