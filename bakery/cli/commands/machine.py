"""``doctor`` and ``recover``: whether this machine can bake, and what an end by force left on it."""

from __future__ import annotations

import os
import sys

from bakery.cli.commands.shared import DEFAULT_STACK, AsJson, Stack, checkout, print_json, settings_of, show
from bakery.cli.console import FAILED


def doctor(stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """What this machine lacks to bake and test, and how to get it."""
    from bakery.backends import backend
    from bakery.backends.checks import Condition
    from bakery.operations.doctor import checks

    found = tuple(checks(backend(settings_of(stack))))
    if as_json:
        print_json([check.to_json() for check in found])
    else:
        from bakery.report.doctor_table import render

        show(render(found))
    if any(check.condition is Condition.MISSING for check in found):
        raise SystemExit(FAILED)


def recover(stack: Stack = DEFAULT_STACK) -> None:
    """Clear what a killed engine, plugin or machine left over; silent when nothing is."""
    from bakery.operations import recover as recovery

    for line in recovery.recover(checkout(), stack, os.environ.get("PULUMI_BACKEND_URL", "")):
        sys.stdout.write(line + "\n")
