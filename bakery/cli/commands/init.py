"""``bakery init``: a repository of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from bakery.cli.console import say


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it; made if it does not exist.")] = Path(),
    name: Annotated[str, typer.Option(help="The name of the Pulumi project (default: that of the folder).")] = "",
    template: Annotated[bool, typer.Option("--template", help="Make a template of `pulumi new` instead.")] = False,
) -> None:
    """Make a repository for your own images, with an example package. Overwrites nothing."""
    from bakery.operations.init import PIPELINE, place
    from bakery.operations.init import init as write

    for path in write(folder.resolve(), name, template=template):
        print(path)
    if template:
        return say(f"next, in an empty folder: pulumi new {folder.resolve()}")
    if (inside := place(folder.resolve()).path) != ".":
        say(f"with GitLab: add `include: [{{local: {inside}/{PIPELINE}}}]` to {PIPELINE} at the top of the repository")
    say("next: pulumi login --local; pulumi stack init dev; bakery plan; pulumi up")
