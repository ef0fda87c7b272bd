"""Buckets and the registry: uniform access, no public access, versions, and rules that take old things away."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_gcp import artifactregistry, storage

from bakery.infrastructure.component import STAYS, Component
from bakery.settings import GoogleSettings
from bakery.settings.google import REPOSITORY, Bucket

KEEP_DAYS = {Bucket.SOURCES: 90, Bucket.LOGS: 365, Bucket.SPACK_CACHE: 0, Bucket.ARTIFACTS: 0}  # 0: for ever
OLD_VERSION_DAYS = 30


class Storage(Component):
    """The buckets and the repository of the builder image, but for those that the settings give; all by name."""

    def __init__(
        self,
        name: str,
        google: GoogleSettings,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, google, after, opts)
        self.buckets: dict[Bucket, pulumi.Output[str]] = {purpose: self._bucket(name, purpose) for purpose in Bucket}
        self.repository = self._repository(name)
        self.register_outputs({purpose.value: bucket for purpose, bucket in self.buckets.items()})

    def _repository(self, name: str) -> pulumi.Output[str]:
        google = self.google
        if google.registry:
            return pulumi.Output.from_input(google.registry)
        made = artifactregistry.Repository(
            f"{name}-repository",
            project=google.project,
            location=google.region,
            repository_id=REPOSITORY,
            format="DOCKER",
            description="The builder image of the Image Bakery",
            kms_key_name=google.kms_key or None,
            docker_config=artifactregistry.RepositoryDockerConfigArgs(immutable_tags=True),
            # Another key makes another repository of the same name, so this one has to be gone before.
            opts=self.below(delete_before_replace=True),
        )
        return made.repository_id

    def _bucket(self, name: str, purpose: Bucket) -> pulumi.Output[str]:
        bucket_name = self.google.bucket(purpose)
        if self.google.buckets.get(purpose):
            return pulumi.Output.from_input(bucket_name)
        key = self.google.kms_key
        made = storage.Bucket(
            f"{name}-{purpose}",
            name=bucket_name,
            project=self.google.project,
            location=self.google.region,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning=storage.BucketVersioningArgs(enabled=True),
            lifecycle_rules=_lifecycle(purpose),
            encryption=storage.BucketEncryptionArgs(default_kms_key_name=key) if key else None,
            labels={"bakery": purpose.value},
            # One of another project is made beside the old one, which is kept while it holds something. By itself the
            # provider has what is given a name deleted first.
            opts=self.below(ignore_changes=list(STAYS), delete_before_replace=False),
        )
        return made.name


def _lifecycle(purpose: Bucket) -> list[storage.BucketLifecycleRuleArgs]:
    def delete(**condition: int | str) -> storage.BucketLifecycleRuleArgs:
        return storage.BucketLifecycleRuleArgs(
            action=storage.BucketLifecycleRuleActionArgs(type="Delete"),
            condition=storage.BucketLifecycleRuleConditionArgs(**condition),  # type: ignore[arg-type]
        )

    rules = [delete(days_since_noncurrent_time=OLD_VERSION_DAYS, with_state="ARCHIVED")]
    if KEEP_DAYS[purpose]:
        rules.append(delete(age=KEEP_DAYS[purpose]))
    return rules
