"""The service accounts and their roles: :mod:`bakery.infrastructure.grants` as resources."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_gcp import artifactregistry, bigquery, cloudbuildv2, projects, pubsub, serviceaccount, storage

from bakery.infrastructure.component import Component, texts
from bakery.infrastructure.grants import CUSTOM_ROLES, GRANTS, OS_LOGIN, TAKER_GRANTS, Grant, On
from bakery.infrastructure.results import Results
from bakery.infrastructure.storage import Storage
from bakery.settings import Bucket, Duty, GoogleSettings

DESCRIPTIONS: Mapping[Duty, str] = {
    Duty.BUILDER: "builds the builder image, when a user starts that build",
    Duty.BAKE: "runs the builds that bake images",
    Duty.MACHINE: "the machine that is baked: recipes' scripts run as it",
    Duty.TEST: "the machines of test clusters",
    Duty.TRIGGER: "starts bakes when a recipe changes",
    Duty.DEPLOY: "runs pulumi up in CI",
}


class Accounts(Component):
    """One service account for each duty, created or given. ``emails`` has all addresses."""

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare the accounts."""
        self.emails: dict[Duty, pulumi.Output[str]] = {duty: self._account(name, duty) for duty in Duty}
        return {duty.value: email for duty, email in self.emails.items()}

    def path(self, duty: Duty) -> pulumi.Output[str]:
        """Return an account's path, as grants on it name it."""
        return pulumi.Output.format("projects/{0}/serviceAccounts/{1}", self.google.project, self.emails[duty])

    def _account(self, name: str, duty: Duty) -> pulumi.Output[str]:
        if self.google.accounts.get(duty):
            return pulumi.Output.from_input(self.google.account(duty))
        return serviceaccount.Account(
            f"{name}-{duty}",
            project=self.google.project,
            account_id=self.google.named(duty),
            display_name=f"Image Bakery: {duty}",
            description=DESCRIPTIONS[duty],
            opts=self.below(),
        ).email


class Grants(Component):
    """All grants of the table, each as a separate resource that does not affect other grants on the same target.

    ``known`` has a text for each, when all of them were granted. ``last`` is the last one; it is granted after all
    others and after ``before_last``, so that what needs all of them depends on one resource only: the engine writes
    all dependencies of all resources into the state, after each resource.
    """

    def __init__(
        self,
        name: str,
        google: GoogleSettings,
        after: Sequence[pulumi.Resource],
        *,
        accounts: Accounts,
        storage: Storage,
        results: Results,
        before_last: Sequence[pulumi.Resource],
    ) -> None:
        self.accounts, self.storage, self.results = accounts, storage, results
        self.before_last = before_last
        super().__init__(name, google, after)

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare the custom roles and the grants."""
        self.roles = {role: self._custom_role(name, role) for role in CUSTOM_ROLES}
        wanted = [grant for grant in GRANTS if grant.role != OS_LOGIN or self.google.os_login]
        made = [self._grant(f"{name}-{_slug(grant)}", grant, self.below()) for grant in wanted[:-1]]
        made = [one for one in made if one]
        last = pulumi.ResourceOptions(parent=self, depends_on=[*self.before_last, *made])
        self.last = self._grant(f"{name}-{_slug(wanted[-1])}", wanted[-1], last)
        self.known = texts([*made, self.last])
        for member in self.google.taker_members:
            self._let_take(name, member)
        return {}

    def _let_take(self, name: str, member: str) -> None:
        """Let an account of another project take images, see :data:`TAKER_GRANTS`."""
        for grant in TAKER_GRANTS:
            own = f"{name}-{re.sub('[^a-zA-Z0-9]+', '-', member)}-{grant.role.rpartition('.')[2]}"
            if grant.target is None:
                projects.IAMMember(own, project=self.google.project, role=grant.role, member=member, opts=self.below())
            else:
                bucket = self.storage.buckets[grant.target]
                storage.BucketIAMMember(own, bucket=bucket, role=grant.role, member=member, opts=self.below())

    def _custom_role(self, name: str, role: str) -> projects.IAMCustomRole:
        title, permissions = CUSTOM_ROLES[role]
        return projects.IAMCustomRole(
            f"{name}-{role}",
            project=self.google.project,
            role_id=self.google.role(role),
            title=title,
            permissions=list(permissions),
            opts=self.below(),
        )

    def _grant(self, name: str, grant: Grant, opts: pulumi.ResourceOptions) -> Any:
        role: pulumi.Input[str] = self.roles[grant.role].name if grant.role in self.roles else grant.role
        member = pulumi.Output.format("serviceAccount:{0}", self.accounts.emails[grant.duty])
        project = self.google.project
        made: Any = None  # each kind has an ID and an etag, and no class in common that has both
        if grant.on is On.PROJECT:
            made = projects.IAMMember(
                name, project=project, role=role, member=member, condition=self._on_project(grant), opts=opts
            )
        elif grant.on is On.ACCOUNT and isinstance(grant.target, Duty):
            path = self.accounts.path(grant.target)
            made = serviceaccount.IAMMember(name, service_account_id=path, role=role, member=member, opts=opts)
        elif grant.on is On.BUCKET and isinstance(grant.target, Bucket):
            made = storage.BucketIAMMember(
                name,
                bucket=self.storage.buckets[grant.target],
                role=role,
                member=member,
                condition=self._on_bucket(grant, grant.target),
                opts=opts,
            )
        elif grant.on is On.DATASET:
            made = bigquery.DatasetIamMember(
                name, project=project, dataset_id=self.results.dataset, role=role, member=member, opts=opts
            )
        elif grant.on is On.TOPIC:
            made = pubsub.TopicIAMMember(
                name, project=project, topic=self.results.topic, role=role, member=member, opts=opts
            )
        elif grant.on is On.REPOSITORY:
            made = artifactregistry.RepositoryIamMember(
                name,
                project=project,
                location=self.google.region,
                repository=self.storage.repository,
                role=role,
                member=member,
                opts=opts,
            )
        elif connection := self.google.connection:
            made = cloudbuildv2.ConnectionIAMMember(
                name,
                project=connection.project,
                location=connection.location,
                name=connection.name,
                role=role,
                member=member,
                opts=opts,
            )
        return made

    @staticmethod
    def _on_project(grant: Grant) -> projects.IAMMemberConditionArgs | None:
        if grant.condition is None:
            return None
        return projects.IAMMemberConditionArgs(title=grant.condition.title, expression=grant.condition.expression)

    def _on_bucket(self, grant: Grant, target: Bucket) -> storage.BucketIAMMemberConditionArgs | None:
        if grant.condition is None:
            return None
        expression = grant.condition.expression.replace("{bucket}", self.google.bucket(target))
        return storage.BucketIAMMemberConditionArgs(title=grant.condition.title, expression=expression)


def _slug(grant: Grant) -> str:
    role = grant.role.removeprefix("roles/").replace(".", "-")
    return "-".join(part for part in (grant.duty, role, grant.target or "") if part)
