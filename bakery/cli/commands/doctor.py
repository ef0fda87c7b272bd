"""``bakery doctor``: check this machine."""

from bakery.cli.console import FAILED, print_json, show
from bakery.cli.options import DEFAULT_STACK, AsJson, Stack, backend_of


def doctor(stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """Check what this machine lacks to bake and test, and print how to install it."""
    from bakery.backends.checks import Condition
    from bakery.operations.doctor import checks

    results = tuple(checks(backend_of(stack)))
    if as_json:
        print_json([check.to_json() for check in results])
    else:
        from bakery.report.doctor_table import render

        show(render(results))
    if any(check.condition is Condition.MISSING for check in results):
        raise SystemExit(FAILED)
