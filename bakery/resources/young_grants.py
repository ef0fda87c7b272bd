"""Lets the engine repeat what Google refuses to a resource of pulumi-gcp because of a grant or a service of this `up`.

A bucket is created seconds after the grant that lets Cloud Storage use its key, and Google refuses it for some minutes,
see :mod:`bakery.host.propagation`; a service works some time after it was enabled. pulumi-gcp gives up at the first
refusal. So its resources have an error hook that waits and has the engine try again, at most a hundred times, as long
as what this `up` made is young. Bakes, tests and the program's own calls wait by themselves.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pulumi
from pulumi.runtime import settings
from pulumi.runtime.proto import engine_pb2, resource_pb2

from bakery.host import propagation
from bakery.host.google_errors import Cause, cause_of_text

PROVIDER = "gcp:"
GRANTING = ("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember", "gcp:projects/service:Service")
FEATURES = (resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS, resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS)
FIRST_PAUSE = 2.0  # seconds; doubled each time


def _say(urn: str, text: str) -> None:
    """Show ``text`` on the line of a resource; :mod:`pulumi.log` would wait until it is registered."""
    engine = settings.get_engine()
    if engine is not None:
        engine.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, urn=urn, message=text, ephemeral=True))


@dataclass
class YoungGrants:
    """Waits for what this `up` granted or enabled; ``grants`` is the file of :func:`bakery.host.propagation.note`."""

    grants: Path
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    say: Callable[[str, str], None] = _say
    made: float = -math.inf  # seconds since the epoch, of the last one

    def note(self, _created: pulumi.ResourceHookArgs) -> None:
        """Note that a grant was made or a service enabled."""
        self.made = time.time()

    async def failed(self, error: pulumi.ErrorHookArgs) -> bool:
        """Return, after a pause, whether to try again."""
        why = error.errors[0]
        if cause_of_text(why) not in (Cause.ACCESS, Cause.SERVICE) or not self._young():
            return False
        self.say(error.urn, f"waiting until new grants take effect, which takes minutes: {why}")
        await self.sleep(min(FIRST_PAUSE * 2 ** (len(error.errors) - 1), propagation.LONGEST_PAUSE))
        return True

    def _young(self) -> bool:
        return time.time() - self.made < propagation.YOUNG_SECONDS or propagation.young(self.grants)


def wait(grants: Path) -> bool:
    """Watch the resources that are declared from now on; return whether SDK and engine support it."""
    if not all(settings.monitor_supports_feature(feature) for feature in FEATURES):
        return False
    young = YoungGrants(grants)

    @cache
    def retried() -> pulumi.ResourceOptions:
        hook = pulumi.ErrorHook("bakery-young-grants", young.failed)
        return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(on_error=[hook]))

    @cache
    def noted() -> pulumi.ResourceOptions:
        hook = pulumi.ResourceHook("bakery-granted", young.note)
        return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(after_create=[hook]))

    def watch(declared: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not declared.type_.startswith(PROVIDER):
            return None
        options = pulumi.ResourceOptions.merge(declared.opts, retried())
        if declared.type_ in GRANTING:
            options = pulumi.ResourceOptions.merge(options, noted())
        return pulumi.ResourceTransformationResult(declared.props, options)

    pulumi.runtime.register_stack_transformation(watch)
    return True
