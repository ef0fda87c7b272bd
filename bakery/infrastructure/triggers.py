"""Cloud Build triggers: one for each variant, one for pull requests, and a scheduled one for newer base images.

Each starts the builder image with the ``bakery`` command. The bake is a separate build, which that command submits with
the plan's names and digest, so a trigger, a colleague and ``pulumi up`` join and adopt each other's bakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
from pulumi_gcp import cloudscheduler, pubsub

from bakery.host.revision import path_in, repository
from bakery.infrastructure.component import Component
from bakery.infrastructure.resource import GoogleResource
from bakery.plan.model import ImagePlan, Plan, lineage
from bakery.plan.trigger_paths import previewed, watched
from bakery.settings import LONGEST_BUILD, Duty, GoogleSettings, Settings
from bakery.settings.files import find
from bakery.version import __version__

MARGIN_SECONDS = 3600  # of a trigger's build, in addition to the bakes that it waits for
# A stranger's pull request starts no trigger until a user with write access allows it.
COMMENT = "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"
MOST = 300  # triggers in a project: https://cloud.google.com/build/quotas


def builder_image(google: GoogleSettings) -> str:
    """Return the builder image, in the given or created registry."""
    project = google.project.replace(":", "/")  # that of a domain, as example.com:p
    return f"{google.region}-docker.pkg.dev/{project}/{google.registry_id}/bakery:{__version__}"


class Triggers(Component):
    """The triggers of a plan; none if the settings name no repository."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        plan: Plan,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        self.settings = replace(settings, source=settings.source or find(settings.root, settings.stack).file)
        self.plan = plan
        self.top = repository(settings.root) or settings.root
        self.path_in = partial(path_in, self.top)
        self.triggers: list[GoogleResource] = []
        super().__init__(name, settings.google, after)

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare the triggers; warn if they are more than Cloud Build allows."""
        if self.google.repository:
            images = {image.family: image for image in self.plan.images}
            self.triggers = [self._image(name, image, images) for image in self.plan.images]
            self.triggers += [self._preview(name), self._schedule(name)]
            if pulumi.runtime.is_dry_run() and not self.google.connection:
                pulumi.log.info(_connected(self.google), self)
            if not self.path_in(self.settings.packages):
                pulumi.log.warn(_elsewhere(self.google, self.settings.packages), self)
        if len(self.triggers) > MOST:
            text = f"{len(self.triggers)} triggers are needed, and Cloud Build allows {MOST} for a project; leave"
            pulumi.log.warn(f"{text} google.repository empty and let CI run pulumi up, or select packages", self)
        return {}

    def _image(self, name: str, image: ImagePlan, images: Mapping[str, ImagePlan]) -> GoogleResource:
        return self._trigger(
            f"{name}-bake-{image.family}",
            trigger_name=f"bake-{image.family}",  # no other trigger has such a name, for every name of a family
            description=f"Bakes {image.family} when {image.package} or a package below it changes",
            command=["bake", image.family],
            timeout=_seconds(image, images),
            includedFiles=list(watched(image, images, self.settings, self.path_in)),
            **self._event(pull_request=False),
        )

    def _preview(self, name: str) -> GoogleResource:
        return self._trigger(
            f"{name}-preview",
            trigger_name=self.google.named("preview"),
            description="Writes into the log of a pull request's check which images it bakes, and why",
            command=["plan", "--markdown"],
            timeout=600,
            includedFiles=list(previewed(self.settings, self.path_in)),
            **self._event(pull_request=True),
        )

    def _schedule(self, name: str) -> GoogleResource:
        google = self.google
        topic = pubsub.Topic(
            f"{name}-schedule",
            project=google.project,
            name=google.named("schedule"),
            kms_key_name=google.kms_key or None,
            opts=self.below(),
        )
        cloudscheduler.Job(
            f"{name}-newer-bases",
            project=google.project,
            region=google.region,
            name=google.named("newer-bases"),
            schedule=google.schedule,
            time_zone="Etc/UTC",
            pubsub_target=cloudscheduler.JobPubsubTargetArgs(topic_name=topic.id, data="YmFzZXM="),
            opts=self.below(),
        )
        return self._trigger(
            f"{name}-newer-bases-trigger",
            trigger_name=google.named("newer-bases"),
            description="Fails when an external base image is newer than the lock file says",
            command=["lock", "--check"],
            timeout=600,
            pubsubConfig={"topic": topic.id},
            sourceToBuild={
                "ref": f"refs/heads/{google.branch}",
                "repoType": "GITHUB",
                **(
                    {"repository": google.repository}
                    if google.connection
                    else {"uri": f"https://github.com/{google.repository}"}
                ),
            },
        )

    def _trigger(
        self,
        resource: str,
        *,
        trigger_name: str,
        description: str,
        command: Sequence[str],
        timeout: int,
        **more: Any,
    ) -> GoogleResource:
        pool = {"pool": {"name": self.google.worker_pool}} if self.google.worker_pool else {}
        return GoogleResource(
            "cloudbuild/trigger:Trigger",
            resource,
            {
                "project": self.google.project,
                "location": self.google.triggers_location,
                "name": trigger_name,
                "description": description,
                "serviceAccount": (
                    f"projects/{self.google.project}/serviceAccounts/{self.google.account(Duty.TRIGGER)}"
                ),
                "build": {
                    "steps": list(self._steps([*command, "--stack", self.settings.stack])),
                    "timeout": f"{timeout}s",
                    "options": {"logging": "CLOUD_LOGGING_ONLY", **pool},
                },
                "tags": ["bakery"],
                **more,
            },
            self.below(),
        )

    def _steps(self, command: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the steps of a build, which begins at the top of a clone without submodules."""
        builder, settings = builder_image(self.google), self.settings
        places = {self.path_in(path / "*") for path in (settings.packages, settings.common)}
        if submodules := sorted(place for place in places if place and not place.endswith("*")):
            words = ["submodule", "update", "--init", "--recursive", "--", *submodules]
            yield {"name": builder, "entrypoint": "git", "args": words}
        folder = settings.root.relative_to(self.top).as_posix()
        yield {"name": builder, "args": list(command), **({"dir": folder} if folder != "." else {})}

    def _event(self, *, pull_request: bool) -> dict[str, Any]:
        """Return the event of a trigger, for a GitHub (``owner/name``) or second-generation repository (a path)."""
        branch = f"^{re.escape(self.google.branch)}$"
        event: dict[str, Any] = {"push": {"branch": branch}}
        if pull_request:
            event = {"pullRequest": {"branch": branch, "commentControl": COMMENT}}
        if self.google.connection:
            return {"repositoryEventConfig": {"repository": self.google.repository, **event}}
        owner, _, repository = self.google.repository.partition("/")
        return {"github": {"owner": owner, "name": repository, **event}}


def _seconds(image: ImagePlan, images: Mapping[str, ImagePlan]) -> int:
    """Return how long the bakes of an image and its ancestors may take, one after the other."""
    return min(MARGIN_SECONDS + sum(one.timeout for one in lineage(image, images)), LONGEST_BUILD)


def _elsewhere(google: GoogleSettings, packages: Path) -> str:
    """Return that the builds of triggers lack the recipes, which are in no commit of the repository."""
    text = f"{packages} is not in {google.repository}, which triggers watch and their builds have"
    return f"{text}; add it as a submodule, or leave google.repository empty and let CI run pulumi up"


def _connected(google: GoogleSettings) -> str:
    """Return what has to be done for triggers of a GitHub repository before they can be created."""
    place = google.triggers_location
    console = f"https://console.cloud.google.com/cloud-build/triggers;region={place}/connect?project={google.project}"
    where = f"the triggers need {google.repository} to be connected in {place}: {console}"
    return f"{where}; if it is connected elsewhere, or if Cloud Build has no quota there, set google.triggersRegion"
