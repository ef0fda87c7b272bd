"""``bakery drift``: changes that the bakery did not make."""

import os

from bakery.cli.console import DRIFT, print_json
from bakery.cli.options import CONFIG_FILE, DEFAULT_STACK, AsJson, Stack, backend_of, checkout


def drift(stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """Find what was changed by hand in the library, and what killed processes left. Changes nothing.

    Exit codes: 0 no drift, 3 drift, 1 the library could not be read, 2 the settings or recipes have errors.
    """
    from bakery.operations.drift import drift as look
    from bakery.report import drift as report
    from bakery.settings.files import find

    files = find(checkout(), stack, os.environ.get(CONFIG_FILE, ""))
    found = look(backend_of(stack), files, os.environ.get("PULUMI_BACKEND_URL", ""))
    if as_json:
        print_json(report.to_json(found))
    else:
        for line in report.lines(found) or ["no drift"]:
            print(line)
    if found:
        raise SystemExit(DRIFT)
