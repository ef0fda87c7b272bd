"""What the command line prints, and how it ends: errors as text, exit codes, never a traceback.

Exit codes: 0 done, 1 failed, 2 invalid input, 3 ``bakery drift`` found drift, 130 interrupted, 141 standard output was
closed by its reader.
"""

import functools
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from bakery.errors import BakeryError, InputError, Interrupted
from bakery.progress.deadline import cancel_at_deadline

FAILED = 1
WRONG_INPUT = 2
DRIFT = 3
INTERRUPTED = 130
NO_READER = 141
TRACEBACK = "BAKERY_TRACEBACK"
LOOK_SECONDS = 0.5

Given = ParamSpec("Given")
Result = TypeVar("Result")


def say(text: str) -> None:
    """Print a line for people to standard error; standard output is for programs."""
    print(text, file=sys.stderr, flush=True)


def fail(errors: Sequence[BakeryError]) -> None:
    """Print the errors of a command that did all else, and exit with 1 if there are any."""
    for error in errors:
        say(f"error: {error}")
    if errors:
        raise SystemExit(FAILED)


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    print(json.dumps(value, indent=2))


def coloured() -> bool:
    """Return whether standard output is a terminal that shall show colours."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def show(renderable: Any) -> None:
    """Print a table or another renderable of rich; lines are not wrapped unless stdout is a terminal."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200
    console.print(renderable)


def exit_codes(command: Callable[Given, Result]) -> Callable[Given, Result]:
    """Return the command with errors turned into messages and exit codes.

    With BAKERY_TRACEBACK=1 an unexpected error keeps its traceback.
    """

    @functools.wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            discard_stdout()
            raise SystemExit(NO_READER) from None
        except (KeyboardInterrupt, Interrupted):
            say("interrupted")
            raise SystemExit(INTERRUPTED) from None
        except InputError as error:
            say(str(error))
            raise SystemExit(WRONG_INPUT) from None
        except BakeryError as error:
            say(f"error: {error}")
            raise SystemExit(FAILED) from None
        except OSError as error:  # a full disk, a folder without permission
            if os.environ.get(TRACEBACK):
                raise
            say(f"error: {error.filename or 'output'}: {error.strerror or error}")
            discard_stdout()
            raise SystemExit(FAILED) from None
        except Exception as error:
            if os.environ.get(TRACEBACK):
                raise
            say(f"error: unexpected {type(error).__name__}: {error}\nhint: {TRACEBACK}=1 shows the traceback")
            raise SystemExit(FAILED) from None

    return run


def wait_for_user(cancelled: threading.Event, seconds: float, what: str) -> None:
    """Wait until the user ends what is up, or its time is over."""
    say(f"{what} is up for {math.ceil(seconds / 60)} minutes; Ctrl-C ends it")
    ends = time.monotonic() + seconds
    while not cancelled.wait(LOOK_SECONDS) and time.monotonic() < ends:
        pass


@contextmanager
def cancel_on_signal() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C or SIGTERM sets; long work in the block watches it.

    The second one ends this process immediately, and with it all processes it started (:mod:`bakery.host.guard`).
    """
    cancelled = threading.Event()
    cancel_at_deadline(cancelled)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if cancelled.is_set():
            say("interrupted immediately; the next run, or `bakery recover`, clears leftovers")
            os._exit(INTERRUPTED)
        cancelled.set()
        say("stopping; a second Ctrl-C ends immediately")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancelled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ensure_standard_streams() -> None:
    """Reopen stdout and stderr on /dev/null if the caller closed them (``>&-``).

    Otherwise the next opened file would get their descriptor.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False))


def discard_stdout() -> None:
    """Redirect stdout to /dev/null, so that Python's flush at exit does not fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
