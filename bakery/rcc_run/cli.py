"""The command ``rcc-run``, and the entry point of the builder image, which runs ``bakery`` too.

Exit codes are those of rcc-run: 0 if all tests passed (or failures are ignored), 1 if a test or its cluster failed,
and 2 for invalid input, before anything is made.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bakery.cli.console import cancel_on_signal, exit_codes, say
from bakery.errors import Severity


@exit_codes
def rcc_run(words: Sequence[str], here: Path, environment: dict[str, str]) -> int:
    """Run the tests that the options select; return the exit code."""
    from bakery.progress.activity import Activity
    from bakery.progress.status_line import QUIET_SECONDS, Line
    from bakery.rcc_run import outputs
    from bakery.rcc_run.arguments import parse
    from bakery.rcc_run.run import prepare, run

    given, problems = parse(words, environment)
    try:
        step = prepare(given, problems, here, environment.get("BAKERY_STACK", ""))
    finally:
        for problem in problems:
            if problem.severity is Severity.WARNING:
                say(str(problem))
    say(f"testing {step.image.name} in {given.zone}: {len(step.jobs)} jobs")
    with Line(say, again=QUIET_SECONDS) as line, cancel_on_signal() as cancelled:
        result = run(step, Activity(line.say, cancelled))
    print(outputs.report(result), flush=True)
    code = outputs.exit_code(result)
    (step.top / "pass-fail.result").write_text(str(code), encoding="ascii")
    return 0 if given.ignore_exit_code else code


def main() -> None:
    """Run ``rcc-run`` with the options of the command line."""
    sys.exit(rcc_run(sys.argv[1:], Path.cwd(), dict(os.environ)))


def builder() -> None:
    """Run ``bakery`` if the first argument is a command, else ``rcc-run``: the entry point of the builder image."""
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        from bakery.cli.app import main as bakery

        bakery()
    else:
        main()
