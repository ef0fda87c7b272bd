"""Support for ``pulumi up --continue-on-error``: a failed resource ends its own branch of the graph only.

With this option the engine reports a failed resource to the program, and the SDK marks the outputs of its dependents as
failed. However, the SDK treats a resource that names a failed one in ``depends_on`` as a defect of the program: the
program ends with a traceback, and resources of other branches are never registered. This module ignores such a failure
until all branches have ended, and reports it then. It must be reported, because the engine assumes that a program which
ends well has registered everything it wants, and deletes resources that were not registered.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any

import pulumi
from pulumi.runtime import settings

_ours: ContextVar[bool] = ContextVar("_ours", default=False)


def continue_on_error() -> bool:
    """Let the failure of a dependency end its own branch only; return whether the SDK supports the change.

    This holds for resources that the calling task declares. Those of a program around the bakery are left alone.
    """
    manager = getattr(settings.SETTINGS, "rpc_manager", None)
    failed = _dependency_failed()
    if manager is None or failed is None or not callable(getattr(manager, "do_rpc", None)):
        return False
    original = manager.do_rpc

    def do_rpc(name: str, call: Callable[..., Awaitable[Any]]) -> Any:
        return original(name, ignoring(failed, call) if _ours.get() else call)

    manager.do_rpc = do_rpc
    _ours.set(True)
    return True


def ignoring(failed: type[Exception], call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return the call, which returns None if it raises ``failed``: its outputs are marked as failed by then."""

    async def quiet(*args: Any, **kwargs: Any) -> Any:
        try:
            return await call(*args, **kwargs)
        except failed:
            return None

    return quiet


async def all_ended(resources: Sequence[pulumi.Resource]) -> None:
    """Wait for all ``resources``; raise RunError (a message without a traceback) if one of them failed."""
    missing = 0
    for resource in resources:
        try:
            await resource.urn.future()
        except Exception:  # the engine has reported it on the line of the resource
            missing += 1
    if missing:
        raise pulumi.RunError(
            f"{missing} of {len(resources)} resources failed or depend on one that failed; all others are up to date. "
            "Fix the errors above and run `pulumi up` again"
        )


def _dependency_failed() -> type[Exception] | None:
    """Return the SDK's exception for a failed dependency, or None if this SDK has none."""
    from pulumi.runtime import stack

    exception = getattr(stack, "ResourceRegistrationFailed", None)
    return exception if isinstance(exception, type) and issubclass(exception, Exception) else None
