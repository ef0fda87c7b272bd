"""The Google services that the bakery uses, enabled."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_gcp import projects

from bakery.infrastructure.component import Component

SERVICES = (
    "artifactregistry",
    "bigquery",
    "cloudbuild",
    "cloudscheduler",
    "compute",
    "iam",
    "iap",
    "logging",
    "pubsub",
    "storage",
)


class Services(Component):
    """The services, which stay enabled after a destroy, since other programs in the project may use them."""

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare that the services are enabled."""
        self.enabled = [
            projects.Service(
                f"{name}-{service}",
                project=self.google.project,
                service=f"{service}.googleapis.com",
                disable_on_destroy=False,
                opts=self.below(),
            )
            for service in SERVICES
        ]
        return {}
