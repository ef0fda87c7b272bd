"""The Google services that the bakery uses, enabled."""

from __future__ import annotations

import pulumi
from pulumi_gcp import projects

from bakery.infrastructure.component import Component
from bakery.settings import GoogleSettings

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
    """Enables the services; they stay enabled after a destroy, as others in the project may use them."""

    def __init__(self, name: str, google: GoogleSettings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, google, opts=opts)
        self.enabled = [
            projects.Service(
                f"{name}-{service}",
                project=google.project,
                service=f"{service}.googleapis.com",
                disable_on_destroy=False,
                opts=self.below(),
            )
            for service in SERVICES
        ]
        self.register_outputs({})
