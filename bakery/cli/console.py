"""How the command line ends: errors as text on standard error, exit codes, never a traceback.

Exit codes: 0 done, 1 failed, 2 the input is wrong, 130 interrupted, 141 nobody reads the output any more.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, ParamSpec, TypeVar

from bakery.errors import BakeryError, InputError, Interrupted

FAILED = 1
WRONG_INPUT = 2
INTERRUPTED = 130
NO_READER = 141
TRACEBACK = "BAKERY_TRACEBACK"

Given = ParamSpec("Given")
Result = TypeVar("Result")


def say(text: str) -> None:
    """A line for people beside the output that programs read."""
    print(text, file=sys.stderr, flush=True)


def exit_codes(command: Callable[Given, Result]) -> Callable[Given, Result]:
    """The command, ending as the module says; set BAKERY_TRACEBACK=1 to see where an unforeseen error comes from."""

    @functools.wraps(command)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            no_reader()
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
            say(f"error: unforeseen {type(error).__name__}: {error}\nhint: {TRACEBACK}=1 shows where it comes from")
            raise SystemExit(FAILED) from None

    return run


@contextmanager
def cancel_on_signal() -> Iterator[threading.Event]:
    """The event that long work of the block watches: set by the first Ctrl-C or SIGTERM, which end nothing themselves.

    The second ends this process at once; what it started ends with it (:mod:`bakery.host.guard`).
    """
    cancelled = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if cancelled.is_set():
            say("interrupted at once: what was left over is cleared by the next run, or by: bakery recover")
            os._exit(INTERRUPTED)
        cancelled.set()
        say("stopping; a second Ctrl-C ends this at once")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancelled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ensure_standard_streams() -> None:
    """Let outputs that were closed before the start (``>&-``) lead nowhere; else the next file takes their place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False))


def no_reader() -> NoReturn:
    """End quietly when standard output is closed."""
    discard_stdout()
    raise SystemExit(NO_READER)


def discard_stdout() -> None:
    """Nothing of standard output is left for Python to flush at exit, which would fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
