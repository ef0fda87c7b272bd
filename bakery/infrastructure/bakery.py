"""All components of a bakery on Google Cloud, and the services that they need."""

from collections.abc import Callable, Mapping

import pulumi
from pulumi_gcp import projects

from bakery.infrastructure.component import Component
from bakery.infrastructure.encryption import Encryption
from bakery.infrastructure.federation import Federation
from bakery.infrastructure.grants import CUSTOM_ROLES
from bakery.infrastructure.identity import Accounts, Grants
from bakery.infrastructure.network import Network
from bakery.infrastructure.results import Results
from bakery.infrastructure.storage import Storage
from bakery.infrastructure.triggers import Triggers
from bakery.plan.model import Plan
from bakery.settings import Settings

Granted = Callable[[list[str]], None]
SERVICES = (
    "artifactregistry",
    "bigquery",
    "cloudbuild",
    "cloudscheduler",
    "compute",
    "iam",
    "iamcredentials",  # with sts: for programs that log in through workload identity federation
    "iap",
    "logging",
    "oslogin",
    "pubsub",
    "storage",
    "sts",
)


class Services(Component):
    """The services, which stay enabled after a destroy, since other programs in the project may use them."""

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare that the services are enabled."""
        self.enabled = {
            service: projects.Service(
                f"{name}-{service}",
                project=self.google.project,
                service=f"{service}.googleapis.com",
                disable_on_destroy=False,
                opts=self.below(),
            )
            for service in SERVICES
        }
        return {}

    def of(self, *names: str) -> list[pulumi.Resource]:
        """Return the services of these names."""
        return [self.enabled[name] for name in names]


def declare(
    settings: Settings, plan: Plan | None = None, granted: Granted = lambda _grants: None
) -> tuple[pulumi.Resource, ...]:
    """Declare the bakery of a stack; return what must exist before the first bake: one resource that waits for all.

    There are triggers if a ``plan`` is given. ``granted`` is called with a text for each grant when all of them were
    granted, not in a preview.
    """
    google = settings.google
    services = Services("services", google)
    network = Network("network", google, services.of("compute"))
    encrypted = services.of("artifactregistry", "bigquery", "compute", "pubsub", "storage")
    encryption = Encryption("encryption", google, encrypted) if google.kms_key else None
    ready = encryption.ready if encryption else []
    storage = Storage("storage", google, [*services.of("storage", "artifactregistry"), *ready])
    accounts = Accounts("accounts", google, services.of("iam"))
    results = Results("results", google, [*services.of("bigquery", "pubsub"), *ready])
    grants = Grants(
        "grants",
        google,
        services.of("iam"),
        accounts=accounts,
        storage=storage,
        results=results,
        before_last=(services, network, *ready, storage, accounts, results),
    )
    Federation("federation", google, services.of("iam", "iamcredentials", "sts"), accounts=accounts)
    if plan is not None:
        Triggers("triggers", settings, plan, [grants.last])
    if not pulumi.runtime.is_dry_run():
        known = [grants.known, *([encryption.known] if encryption else [])]
        roles = [f"{role} {' '.join(permissions)}" for role, (_, permissions) in CUSTOM_ROLES.items()]
        pulumi.Output.all(*known).apply(lambda lists: granted([*roles, *(text for one in lists for text in one)]))
    return (grants.last,)
