"""Ends the program if a resource of pulumi-gcp can't be deleted before its replacement is created.

The engine deletes and creates such a resource in one chain of steps, and drops the rest of the chain if the deletion
fails. With ``--continue-on-error`` it does not tell the program: the registration is never answered, and ``pulumi up``
never ends. Source: ``executeChain`` and ``DeleteStep.Fail`` in pkg/resource/deploy of Pulumi 3.259, 2026-11-29.

Therefore these resources have an error hook. A deletion that fails while a registration is unanswered belongs to such a
chain, as the engine makes all other deletions after the program's last registration.
"""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime import settings

from bakery.resources import hooks

EXIT_CODE = 32  # the program has reported its error, so the language host adds none
Call = Callable[..., Awaitable[Any]]


@dataclass
class Registrations:
    """Counts the registrations that the engine has not answered yet."""

    do_rpc: Callable[[str, Call], Call]
    unanswered: int = 0

    def counted(self, name: str, call: Call) -> Call:
        """Take the place of the SDK's ``do_rpc``."""
        return self.do_rpc(name, self._registered(call) if name == "register resource" else call)

    def _registered(self, call: Call) -> Call:
        async def register(*args: Any, **kwargs: Any) -> Any:
            self.unanswered += 1
            try:
                return await call(*args, **kwargs)
            finally:
                self.unanswered -= 1

        return register

    def failed(self, error: pulumi.ErrorHookArgs) -> bool:
        """Report a failed deletion and end the program if it would wait for the replacement; never try again."""
        if error.failed_operation == "delete" and self.unanswered:
            pulumi.log.error(
                f"{error.name} could not be deleted, so it is not replaced, and this `up` ends here: it would wait for "
                "the replacement forever. Fix the error of its deletion and run `pulumi up` again"
            )
            os._exit(EXIT_CODE)
        return False


def end_program() -> bool:
    """Watch the resources that are declared from now on; return whether SDK and engine support it."""
    manager = getattr(settings.SETTINGS, "rpc_manager", None)
    if manager is None:
        return False
    registrations = Registrations(manager.do_rpc)
    if not hooks.on_error("bakery-failed-deletion", registrations.failed):
        return False
    manager.do_rpc = registrations.counted
    return True
