"""Workload identity federation: CI runs as the deploy account with the token of its host, without a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_gcp import serviceaccount

from bakery.infrastructure.component import Component
from bakery.infrastructure.identity import Accounts
from bakery.infrastructure.resource import GoogleResource
from bakery.settings import Duty, GoogleSettings

ROLE = "roles/iam.workloadIdentityUser"


class Federation(Component):
    """Pool, provider and grant of ``google.ci``; none without it. ``provider`` is the provider's path."""

    def __init__(
        self, name: str, google: GoogleSettings, after: Sequence[pulumi.Resource], *, accounts: Accounts
    ) -> None:
        self.accounts = accounts
        super().__init__(name, google, after)

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare the pool and its provider, and let the repository's jobs be the deploy account."""
        google, ci = self.google, self.google.ci
        if ci is None:
            return {}
        pool = GoogleResource(
            "iam/workloadIdentityPool:WorkloadIdentityPool",
            f"{name}-pool",
            {
                "project": google.project,
                "workloadIdentityPoolId": google.pool,
                "displayName": "Image Bakery: CI",
                "description": f"jobs of {ci.repository} on {ci.branch}"[:256],
                "name": None,
            },
            self.below(),
        )
        provider = GoogleResource(
            "iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",
            f"{name}-{ci.host}",
            {
                "project": google.project,
                "workloadIdentityPoolId": pool.output("workloadIdentityPoolId"),
                "workloadIdentityPoolProviderId": ci.host,
                "attributeMapping": {
                    "google.subject": "assertion.sub",
                    "attribute.repository": f"assertion.{ci.host.claim}",
                },
                "attributeCondition": ci.condition,
                "oidc": {"issuerUri": ci.issuer},
                "name": None,
            },
            self.below(),
        )
        serviceaccount.IAMMember(
            f"{name}-deploy",
            service_account_id=self.accounts.path(Duty.DEPLOY),
            role=ROLE,
            member=pulumi.Output.format(
                "principalSet://iam.googleapis.com/{0}/attribute.repository/{1}", pool.output("name"), ci.repository
            ),
            opts=self.below(),
        )
        return {"provider": provider.output("name")}
