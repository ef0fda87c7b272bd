"""How commands print values to standard output."""

import json
import os
import sys
from typing import Any


def print_json(value: Any) -> None:
    """Print JSON."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def show(renderable: Any) -> None:
    """Print a table or another renderable of rich; lines are not wrapped unless stdout is a terminal."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200
    console.print(renderable)
