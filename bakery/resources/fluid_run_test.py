"""``FluidRunTest``: a passed Fluid-Run of an image."""

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource

from bakery.backends import backend
from bakery.errors import Uncertain
from bakery.library.base import Proof
from bakery.orders import files as order_files
from bakery.orders.build import run_from_json
from bakery.paths import StatePaths
from bakery.resources import progress
from bakery.resources.passing_run import passing_run
from bakery.resources.provider import BakeryProvider, Props, difference, read_order, reports_errors, settings

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
        order = run_from_json(read_order(order_files.run_file(paths, props["image"], props["tests"])))
        library = backend(stack).library()
        run = passing_run(library, order)
        if run is None:
            with progress.activity(props["urn"], f"Fluid-Run of {order.image}") as activity:
                run = run_tests(order, library, backend(stack).clusters(), paths, activity, stack=stack.stack)
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
