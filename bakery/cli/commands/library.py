"""``bakery library``: the images of the library."""

from bakery.cli.console import print_json, show
from bakery.cli.options import DEFAULT_STACK, AsJson, Stack, backend_of


def library(stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """Print the existing images, the verdicts of their tests, and the image that each family points at."""
    from bakery.report.library import report

    content = report(backend_of(stack).library())
    if as_json:
        print_json(content)
    else:
        from bakery.report.library_table import render

        show(render(content))
