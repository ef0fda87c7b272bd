"""Lets the other branches of the graph go on in the program when one resource has failed.

With ``--continue-on-error`` the engine tells the program that a resource has failed, and the SDK then faults the
outputs of what depends on it. But a resource that names a failed one in ``depends_on`` is taken for a defect of the
program: it ends with a traceback, and what was not yet registered elsewhere never is. So such a failure is passed over
here, and only told when all branches have ended. It must be told then: the engine takes a program that ends well for
one that has named everything it wants, and would delete what was never registered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pulumi
from pulumi.runtime import settings


def continue_on_error() -> bool:
    """Take a dependency's failure as the end of that branch alone; says whether the SDK has what that needs."""
    manager = getattr(settings.SETTINGS, "rpc_manager", None)
    marker = _marker()
    if manager is None or marker is None or not callable(getattr(manager, "do_rpc", None)):
        return False
    known = manager.do_rpc

    def do_rpc(name: str, call: Callable[..., Awaitable[Any]]) -> Any:
        return known(name, ending_quietly(call, marker))

    manager.do_rpc = do_rpc
    return True


def ending_quietly(call: Callable[..., Awaitable[Any]], failed: type[Exception]) -> Callable[..., Awaitable[Any]]:
    """The call, which answers None where ``failed`` was raised: its outputs are faulted by then."""

    async def quiet(*args: Any, **kwargs: Any) -> Any:
        try:
            return await call(*args, **kwargs)
        except failed:
            return None

    return quiet


async def all_ended(resources: Sequence[pulumi.Resource]) -> None:
    """Wait for all ``resources``; raises RunError (a message without a traceback) when one was not made."""
    missing = 0
    for resource in resources:
        try:
            await resource.urn.future()
        except Exception:  # the engine has told it, on the line of the resource
            missing += 1
    if missing:
        raise pulumi.RunError(
            f"{missing} of {len(resources)} resources failed, or wait for one that did; "
            "all others are as they should be, and nothing else was changed"
        )


def _marker() -> type[Exception] | None:
    from pulumi.runtime import stack

    found = getattr(stack, "ResourceRegistrationFailed", None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None
