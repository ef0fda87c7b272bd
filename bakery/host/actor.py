"""Who runs this process, and at which commit of the recipes."""

import getpass
import os
from functools import cache
from pathlib import Path

from bakery.errors import BakeryError
from bakery.host import process
from bakery.host.revision import revision


@cache
def local_user(root: Path) -> str:
    """Return the address in git's configuration for the checkout, or else the login name."""
    try:
        address = process.output(["git", "config", "user.email"], cwd=root).strip()
    except (BakeryError, OSError):  # no address, no git
        address = ""
    try:
        return address or getpass.getuser()
    except (KeyError, OSError):  # a user that the system does not know, as in some containers
        return str(os.getuid())


@cache
def commit(root: Path) -> str:
    """Return the commit of the checkout when the process asked first, "" without one."""
    return revision(root)
