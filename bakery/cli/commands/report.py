"""``bakery report``: the library as a page for a browser."""

from pathlib import Path
from typing import Annotated

import typer

from bakery.cli.options import DEFAULT_STACK, Stack, backend_of


def report(
    html: Annotated[Path, typer.Option("--html", metavar="DIR", help="Write the page to DIR/index.html.")],
    stack: Stack = DEFAULT_STACK,
) -> None:
    """Write a page with the images, their test runs, figures over time and bake times.

    The page is one file that loads nothing from elsewhere; a run overwrites it.
    """
    from bakery.host.files import write_atomic
    from bakery.report.html import render
    from bakery.report.library import report as library_report

    library = backend_of(stack).library()
    file = html / "index.html"
    write_atomic(file, render(library_report(library), library.now()).encode())
    print(file)
