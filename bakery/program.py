"""The Pulumi program: settings -> recipes -> plan -> declare -> export."""

from __future__ import annotations

from pathlib import Path

import pulumi

from bakery.errors import BakeryError
from bakery.host import network
from bakery.host.revision import revision
from bakery.lock import file as lock_file
from bakery.plan import plan as planning
from bakery.plan.model import Plan
from bakery.progress.deadline import seconds_left
from bakery.recipe.roots import recipes_of
from bakery.resources import continue_on_error, preview_reasons, sdk_noise
from bakery.resources.outputs import export
from bakery.resources.program import Declared, declare
from bakery.resources.taken import plan_of
from bakery.settings import Settings, from_pulumi


def run(root: Path) -> None:
    """Declare the resources that the stack's settings and the recipes describe, and export the stack's outputs.

    ``root`` is the folder with ``Pulumi.yaml``, where relative paths of the settings start. Raises pulumi.RunError with
    every problem at once.
    """
    sdk_noise.end_quietly()
    pulumi.run(lambda: _program(root))


async def _program(root: Path) -> None:
    try:
        declared, refused = await _declared(root)
    except BakeryError as error:
        # Show the whole message with every problem, and no traceback: the input is wrong, not the program.
        raise pulumi.RunError(str(error)) from None
    await continue_on_error.all_ended([resource for one in declared for resource in one.resources])
    if why := await refused.future():
        raise pulumi.RunError("\n".join(("the output rcc_tf is empty, as its images do not fit:", *why)))


async def _declared(root: Path) -> tuple[tuple[Declared, ...], pulumi.Output[list[str]]]:
    given, secret = pulumi.runtime.config.get_config_env(), pulumi.runtime.get_config_secret_keys_env()
    settings = from_pulumi(pulumi.Config(), pulumi.get_stack(), root, given, secret)
    network.use(settings.network)
    seconds_left()  # a wrong deadline is an error before anything begins
    plan = plan_of(settings) or _planned(settings)
    for problem in (*settings.warnings, *plan.problems, *preview_reasons.damaged(settings)):
        pulumi.log.warn(str(problem))
    declared = await declare(settings, plan)
    preview_reasons.log_reasons(settings, declared)
    return declared, export(settings, plan, declared)


def _planned(settings: Settings) -> Plan:
    lock, commit = lock_file.read(settings.lock), revision(settings.packages)
    return planning.make(settings, recipes_of(settings), lock, commit, proven=preview_reasons.proven(settings))
