"""Lets the engine repeat what Google refuses to a resource of pulumi-gcp because of a grant or a service of this `up`.

A bucket is created seconds after the grant that lets Cloud Storage use its key, and Google refuses it for some minutes,
see :mod:`bakery.host.propagation`; a service works some time after it was enabled. pulumi-gcp gives up at the first
refusal. So its resources have an error hook that waits and has the engine try again, at most a hundred times, as long
as what this `up` made is young. Bakes, tests and the program's own calls wait by themselves. What to do about another
refusal (a policy of the organisation, a quota) is shown beside Google's words.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi.runtime import settings
from pulumi.runtime.proto import engine_pb2

from bakery.host import propagation
from bakery.resources import hooks

GRANTING = ("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember", "gcp:projects/service:Service")
FIRST_PAUSE = 2.0  # seconds; doubled each time


def _say(urn: str, text: str) -> None:
    """Show ``text`` on the line of a resource; :mod:`pulumi.log` would wait until it is registered."""
    _log(engine_pb2.LogRequest(severity=engine_pb2.INFO, urn=urn, message=text, ephemeral=True))


def _advise(urn: str, text: str) -> None:
    """Show ``text`` with the errors of a resource."""
    _log(engine_pb2.LogRequest(severity=engine_pb2.WARNING, urn=urn, message=text))


def _log(request: engine_pb2.LogRequest) -> None:
    engine = settings.get_engine()
    if engine is not None:
        engine.Log(request)


@dataclass
class YoungGrants:
    """Waits for what this `up` granted or enabled; ``grants`` is the file of :func:`bakery.host.propagation.note`."""

    grants: Path
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    say: Callable[[str, str], None] = _say
    advise: Callable[[str, str], None] = _advise
    made: float = -math.inf  # seconds since the epoch, of the last one

    def note(self, _created: pulumi.ResourceHookArgs) -> None:
        """Note that a grant was made or a service enabled."""
        self.made = time.time()

    async def failed(self, error: pulumi.ErrorHookArgs) -> bool:
        """Return, after a pause, whether to try again."""
        # Imported here: it needs Google's clients, which a local stack does not have.
        from bakery.host.google_errors import Cause, cause_of_text, hint_of

        why = error.errors[0]
        cause = cause_of_text(why)
        if cause not in (Cause.ACCESS, Cause.SERVICE) or not self._young():
            if hint := hint_of(cause, why):
                self.advise(error.urn, hint)
            return False
        self.say(error.urn, f"waiting until new grants take effect, which takes minutes: {why}")
        await self.sleep(min(FIRST_PAUSE * 2 ** (len(error.errors) - 1), propagation.LONGEST_PAUSE))
        return True

    def _young(self) -> bool:
        return time.time() - self.made < propagation.YOUNG_SECONDS or propagation.young(self.grants)


def wait(grants: Path) -> bool:
    """Watch the resources that are declared from now on; return whether SDK and engine support it."""
    young = YoungGrants(grants)
    return hooks.on_error("bakery-young-grants", young.failed) and hooks.after_create(
        "bakery-granted", young.note, GRANTING
    )
