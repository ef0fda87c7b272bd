"""The agent's command line."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .machine import Machine
from .mailbox import DiskMailbox, FolderMailbox, Reporter
from .roles import run_as_guest, run_machine
from .system import RunError


def run_and_report(reporter: Reporter, part: Callable[[], None]) -> None:
    """Run this machine's part of the run; an error becomes the status, and the logs are sent with it."""
    try:
        reporter.update(stage="start")
        part()
        reporter.update(ended=True)
    except RunError as error:
        reporter.log(f"run failed: {error}")
        with contextlib.suppress(OSError):
            reporter.send_results()
        reporter.update(error=str(error), blame=error.blame, ended=True)
    except BaseException as error:
        message = f"the agent on {reporter.status['machine']} failed: {error!r}"
        reporter.log(message)
        reporter.update(error=message, blame="infrastructure", ended=True)
        raise


def parser() -> argparse.ArgumentParser:
    """Return the parser of the agent's options."""
    options = argparse.ArgumentParser(prog="agent", description="takes part in a Fluid-Run")
    options.add_argument("--run-spec", type=Path, required=True, help="the run specification, a JSON file")
    options.add_argument("--name", default="", help="the name of this machine in the run specification")
    options.add_argument("--seed", type=Path, help="wait for the name on the disk, then unpack the seed from this one")
    options.add_argument("--workspace", type=Path, required=True, help="the folder with the recipe's files")
    options.add_argument("--disk", type=Path, help="raw disk for status and results")
    options.add_argument("--out", type=Path, default=Path("out"), help="folder for status and results")
    options.add_argument("--guest", action="store_true", help="only submit to an existing cluster, as this user")
    return options


def main(words: Sequence[str]) -> None:
    """Parse the command line and take part in the run."""
    given = parser().parse_args(words)
    os.umask(0o022)
    if not given.guest:
        os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    found = None
    if given.seed:
        from .resume import Prepared, become  # no other machine needs it, and an emulated one takes its time to load it

        found = Prepared()
        given.name = become(given.disk, given.seed)
    mailbox = DiskMailbox(given.disk) if given.disk else FolderMailbox(given.out)
    run_spec = json.loads(given.run_spec.read_text(encoding="utf-8"))
    if given.guest:
        guest = Reporter(mailbox, given.name, given.out / "logs")
        run_and_report(guest, lambda: run_as_guest(run_spec, given.workspace, guest))
        return
    machine = Machine(run_spec, given.name, Reporter(mailbox, given.name), given.workspace)
    if found:
        machine.facts, machine.versions = found.facts, found.versions
    run_and_report(machine.reporter, lambda: run_machine(machine, given.workspace))


if __name__ == "__main__":
    main(sys.argv[1:])
