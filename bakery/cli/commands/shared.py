"""What the commands share: options, the checkout's settings, and how values are printed."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

if TYPE_CHECKING:
    from bakery.settings import Settings

DEFAULT_STACK = "dev"
Stack = Annotated[str, typer.Option("--stack", help="The stack whose settings count.", envvar="BAKERY_STACK")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; its schema is in bakery/report/schemas.")]
Folder = Annotated[Optional[Path], typer.Option(help="Another folder than the stack's.", show_default=False)]  # noqa: UP045  typer's types
Every = Annotated[bool, typer.Option("--all", help="All packages, also those the stack does not select.")]


def checkout() -> Path:
    """The checkout: the nearest folder upwards with a Pulumi.yaml, else the one this program lies in, else here."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file() and (folder / "bakery").is_dir():
            return folder
    own = Path(__file__).resolve().parents[3]
    return own if (own / "Pulumi.yaml").is_file() else here


def settings_of(stack: str) -> Settings:
    """The stack's settings; raises InputError for a stack that is not there, but the default one needs no file."""
    from bakery.errors import InputError, Problem
    from bakery.settings import from_file

    root = checkout()
    if stack != DEFAULT_STACK and not (root / f"Pulumi.{stack}.yaml").exists():
        known = ", ".join(sorted(file.name.split(".")[1] for file in root.glob("Pulumi.*.yaml"))) or "none"
        raise InputError([Problem(f"Pulumi.{stack}.yaml", 1, "is not there", f"name another --stack; known: {known}")])
    return from_file(root, stack)


def other_tree(settings: Settings, packages: Path | None, common: Path | None) -> Settings:
    """The settings with another tree's folders, all of its packages selected."""
    if packages is None and common is None:
        return settings
    folder = packages.resolve() if packages else settings.packages
    beside = next((path for path in (folder / "common", folder.parent / "common") if path.is_dir()), settings.common)
    return replace(settings, packages=folder, common=common.resolve() if common else beside, select=())


def print_json(value: Any) -> None:
    """JSON for programs."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def show(renderable: Any) -> None:
    """Something of rich; whole lines when nobody looks at a terminal."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200
    console.print(renderable)
