"""Messages of the Pulumi SDK that are not sent: debug notes, stack traces, the traceback of an interrupted program.

The SDK sends the engine four debug notes for each resource and waits for an answer to each. They are shown only with
``pulumi --debug``, and take a third of the program's time in a preview of 1,000 images. With each resource it sends the
lines of the program that declare it, a quarter of the state, which the engine writes as a whole after each resource.
"""

import os
import signal

import pulumi
from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2


def silence_debug() -> None:
    """Stop sending debug notes. Information, warnings and errors are still sent."""
    # A plain assignment to a function is refused by the types.
    setattr(pulumi.log, "debug", lambda *_arguments, **_named: None)  # noqa: B010


def omit_stack_traces() -> None:
    """Register resources without the stack trace of their declaration, which is the same for all images."""
    setattr(resource, "_get_stack_trace", source_pb2.StackTrace)  # noqa: B010


def end_quietly() -> None:
    """Exit on SIGINT without a traceback; the interrupted engine sends it after everything has been reported."""
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(1))
