"""All components of a bakery on Google Cloud."""

from dataclasses import dataclass

import pulumi

from bakery.infrastructure.identity import Accounts, Grants, Targets
from bakery.infrastructure.network import Network
from bakery.infrastructure.results import Results
from bakery.infrastructure.services import Services
from bakery.infrastructure.storage import Storage
from bakery.infrastructure.triggers import Triggers
from bakery.plan.model import Plan
from bakery.settings import Settings


@dataclass(frozen=True)
class Infrastructure:
    """The declared components; ``ready`` are those that a bake must wait for."""

    network: Network
    storage: Storage
    accounts: Accounts
    results: Results
    grants: Grants
    triggers: Triggers

    @property
    def ready(self) -> tuple[pulumi.Resource, ...]:
        """The components that must exist before the first bake."""
        return (self.network, self.storage, self.accounts, self.results, self.grants)


def declare(settings: Settings, plan: Plan) -> Infrastructure:
    """Declare the bakery of a stack."""
    google = settings.google
    after = Services("services", google).enabled
    storage = Storage("storage", google, after)
    accounts = Accounts("accounts", google, after)
    results = Results("results", google, after)
    targets = Targets(
        emails=accounts.emails,
        buckets=storage.buckets,
        dataset=results.dataset,
        topic=results.topic,
        repository=storage.repository,
    )
    grants = Grants("grants", google, targets, after)
    return Infrastructure(
        network=Network("network", google, after),
        storage=storage,
        accounts=accounts,
        results=results,
        grants=grants,
        triggers=Triggers("triggers", settings, plan, [*after, grants]),
    )
