"""``FluidRunTest``: the Fluid-Run of a recipe passed on an image."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource

from bakery.backends import backend
from bakery.errors import Uncertain
from bakery.library.base import Proof
from bakery.orders import files as order_files
from bakery.orders.build import test_from_json
from bakery.paths import StatePaths
from bakery.resources import progress
from bakery.resources.passing_run import standing_run
from bakery.resources.provider import BakeryProvider, Props, difference, read_order, reports_errors, settings

REPLACES = ("image", "tests", "project")


class FluidRunTestProvider(BakeryProvider):
    """Tests one image. The name of this class is in every state: never move it."""

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Another image or other tests want a run of their own."""
        return difference(_olds, _news, replaces=REPLACES)

    @reports_errors
    def create(self, props: Props) -> CreateResult:
        """Run the tests, unless this very image has passed these very tests before."""
        # Imported here: the program, which only declares, starts faster.
        from bakery.fluid_run.runner import run as run_tests

        stack = settings(props["urn"])
        paths = StatePaths(stack.state)
        order = test_from_json(read_order(order_files.test_file(paths, props["image"], props["tests"])))
        shelf = backend(stack).library()
        run = standing_run(shelf, order)
        if run is None:
            with progress.activity(props["urn"], f"Fluid-Run of {order.image}") as activity:
                run = run_tests(order, shelf, backend(stack).clusters(), paths, activity, stack=stack.stack)
        return CreateResult(f"{order.image}-{props['tests']}", {**props, "run": run.run_id})

    @reports_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """Keep the resource unless it is certain that the image is gone or no longer proven."""
        try:
            found = backend(settings(props["urn"])).library().find(props["image"])
        except Uncertain as error:
            progress.engine().warn(props["urn"], f"not known whether {props['image']} is there, kept: {error}")
            return ReadResult(id_, props)
        if found is None or found.proof is not Proof.PASSED:
            return ReadResult("", {})
        return ReadResult(id_, props)

    def delete(self, _id: str, _props: Props) -> None:
        """Forget: the results stay in the library."""


class FluidRunTest(Resource, module="bakery", name="FluidRunTest"):
    """A passed Fluid-Run. Inputs: the image, the digest of the tests, and the manifest of what that holds."""

    image: pulumi.Output[str]
    tests: pulumi.Output[str]
    run: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(FluidRunTestProvider(), name, {"run": None, **props}, opts)
