"""Bakes an image on Google Cloud for a user who looks into it: the machine of a failed bake is left up.

The build is that of an ordinary bake, which no other bake joins. Packer leaves the machine up (``-on-error=abort``),
which the key of this user can log in to as well. Source: "packer build" and "Communicators" in Packer's documentation;
createInstanceMetadata in step_create_instance.go of the googlecompute plugin, which adds its key to those given.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from google.cloud.devtools import cloudbuild_v1

from bakery.errors import BakeFailed, BakeryError
from bakery.host import process
from bakery.host.files import discard
from bakery.host.google import Google
from bakery.host.quota_metrics import MachineDemand
from bakery.orders.model import BakeOrder
from bakery.ovens import stops
from bakery.ovens.base import Bake, BakeOutcome, DebugTerms
from bakery.ovens.cloud_build import debug_machine, machines
from bakery.ovens.cloud_build.machine_options import deadline
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.ovens.cloud_build.request import packer_template
from bakery.ovens.cloud_build.variable_files import changed_words
from bakery.ovens.cloud_build.watch import Status, failure
from bakery.ovens.local.machine import make_key
from bakery.ovens.local.template import Rendering, render, steps
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.hcl2.render import merged
from bakery.recipe.model import Json
from bakery.recipe.templating import GOOGLE_BUILDER, is_packer
from bakery.settings import GoogleSettings, Settings

ABORT = "-on-error=abort"
_PACKER_BUILD = re.compile(r"\b(packer\s+build)\b")


class DebugOven(CloudBuildOven):
    """Bakes one image in a build of its own, and leaves the machine of a failed bake up, see :class:`DebugTerms`."""

    def __init__(
        self, settings: Settings, terms: DebugTerms, google: Google | None = None, poll_seconds: float = 5.0
    ) -> None:
        if settings.google.os_login:
            hint = "see: bakery logs IMAGE"
            raise BakeryError("machines with google.osLogin take no key of a bake that is debugged", hint=hint)
        process.find_tool("gcloud", debug_machine.GCLOUD)  # before the bake, not after it
        super().__init__(settings, google, poll_seconds)
        self.terms = terms
        self._state = StatePaths(settings.state)
        self._named: Sequence[str] = ()
        self._user = ""

    def bake(self, order: BakeOrder, activity: Activity) -> Bake:
        """Bake, and note where the machine of a failed bake is."""
        if not deadline(order):
            text = f"the build of {order.family} installs a plugin that gives machines no deadline"
            raise BakeryError(text, hint="let it install googlecompute 1.2 or newer")
        rendering = render(order, {"type": "null"}, Path("/workspace"))
        self._named, self._user = rendering.provisioners, rendering.user
        if earlier := debug_machine.find(self._state, self.google, order.family):
            earlier.end()
        work = debug_machine.folder(self._state, order.name)
        discard(work)
        work.mkdir(0o700, parents=True)
        try:
            return super().bake(self._prepared(order, rendering, make_key(work / "key")), activity)
        finally:
            if not (work / debug_machine.MACHINE).exists():
                discard(work)

    def _prepared(self, order: BakeOrder, rendering: Rendering, key: bytes) -> BakeOrder:
        """Return the order of a bake that ends at its stop, on a machine with an owner and the key's public half."""
        template = dict(order.template)
        if self.terms.stop:
            number = rendering.number(self.terms.stop, "--break-before")
            given, at_start = steps(template), len(steps({**template, "provisioners": []}))
            template["provisioners"] = [*given[at_start : max(number - 1, at_start)], stops.provisioner(number)]
        label = {machines.OWNER_LABEL: machines.owner(self.google)}
        login = {"ssh-keys": f"{rendering.user}:{key.decode().strip()}"}
        template["builders"] = [
            {**one, "labels": merged(one.get("labels"), label), "metadata": merged(one.get("metadata"), login)}
            if one.get("type") == GOOGLE_BUILDER
            else one
            for one in template["builders"]
        ]
        return replace(order, template=template)

    def _try(self, order: BakeOrder, activity: Activity) -> tuple[BakeOutcome, cloudbuild_v1.Build | None]:
        """Bake an image that exists, too, up to a stop."""
        if not self.terms.stop:
            return super()._try(order, activity)
        with self._turns.held(activity):
            return self._bake(order, set(), activity)

    def _builds(self, order: BakeOrder) -> Sequence[cloudbuild_v1.Build]:
        """Return only the builds of this oven: the machine of another one is not this user's."""
        return [one for one in self._looks.get(_tag(order)) if self.session in one.tags]

    def _request(self, order: BakeOrder, google: GoogleSettings, zone: str, source: str) -> Json:
        """Return a build that ordinary bakes do not find, and whose calls of Packer leave their machine up."""
        made = super()._request(order, google, zone, source)
        tags = [_tag(order) if tag == order.name else tag for tag in made["tags"]]
        return {**made, "tags": tags, "steps": [_aborting(step) for step in made["steps"]]}

    def _template(self, order: BakeOrder, google: GoogleSettings, zone: str) -> Json:
        own = {
            "instance_name": f"{machines.DEBUG}{{{{user `bakery_build`}}}}",
            **deadline(order, self.terms.seconds),
        }
        return packer_template(order, google, zone, self.settings.network, own=own)

    def _machine(self, order: BakeOrder) -> MachineDemand:
        """Return a standard machine: a user logs in to it."""
        return super()._machine(order)._replace(spot=False)

    def _ended(self, done: cloudbuild_v1.Build, order: BakeOrder) -> cloudbuild_v1.Build:
        """Return the build if it succeeded. Raises BakeFailed, and then the machine is up; InfrastructureFailed."""
        if done.status == Status.SUCCESS:
            return super()._ended(done, order)
        tail = self.watch.tail(done)
        error = failure(done, order, tail, self.settings.stack)
        if not isinstance(error, BakeFailed):
            self._delete_machine(done)
            raise error
        if stopped := stops.reached("\n".join(tail), self._named):
            kind, message = stopped
            error = kind(message, log=done.log_url)
        zone, name = done.substitutions.get("_ZONE", ""), f"{machines.DEBUG}{done.id}"
        debug_machine.note(debug_machine.folder(self._state, order.name), zone, name, self._user)
        raise error

    def _publish_failure(self, error: BakeryError, order: BakeOrder) -> BakeryError:
        """Publish nothing: it is a matter of this user."""
        return error

    def _delete_machine(self, build: cloudbuild_v1.Build) -> None:
        with suppress(BakeryError):
            machines.delete(self.google, build, machines.DEBUG)


def _tag(order: BakeOrder) -> str:
    return f"debug-{order.name}"


def _aborting(step: Json) -> Json:
    """Return a step whose calls of Packer leave the machine of a failed bake up."""

    def change(words: list[str]) -> list[str]:
        if words[:1] == ["build"]:
            return ["build", ABORT, *words[1:]]
        return [_PACKER_BUILD.sub(rf"\1 {ABORT}", word) for word in words]

    return changed_words(step, change) if is_packer(step) else step
