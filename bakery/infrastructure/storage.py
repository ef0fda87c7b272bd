"""Buckets and the registry: uniform access, no public access, versions, and rules that delete old objects."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_gcp import artifactregistry, storage

from bakery.infrastructure.component import STAYS, Component
from bakery.settings.google import Bucket

KEEP_DAYS = {Bucket.SOURCES: 90, Bucket.LOGS: 365, Bucket.SPACK_CACHE: 0, Bucket.ARTIFACTS: 0}  # 0: always
OLD_VERSION_DAYS = 30


class Storage(Component):
    """The buckets and the repository of the builder image, created or given; ``buckets`` has all names."""

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare the buckets and the repository."""
        self.buckets: dict[Bucket, pulumi.Output[str]] = {purpose: self._bucket(name, purpose) for purpose in Bucket}
        self.repository = self._repository(name)
        return {purpose.value: bucket for purpose, bucket in self.buckets.items()}

    def _repository(self, name: str) -> pulumi.Output[str]:
        google = self.google
        if google.registry:
            return pulumi.Output.from_input(google.registry)
        return artifactregistry.Repository(
            f"{name}-repository",
            project=google.project,
            location=google.region,
            repository_id=google.registry_id,
            format="DOCKER",
            description="The builder image of the Image Bakery",
            kms_key_name=google.kms_key or None,
            docker_config=artifactregistry.RepositoryDockerConfigArgs(immutable_tags=True),
            # A changed key replaces the repository by one with the same name, so the old one must be deleted first.
            opts=self.below(delete_before_replace=True),
        ).repository_id

    def _bucket(self, name: str, purpose: Bucket) -> pulumi.Output[str]:
        bucket_name = self.google.bucket(purpose)
        if self.google.buckets.get(purpose):
            return pulumi.Output.from_input(bucket_name)
        key = self.google.kms_key
        return storage.Bucket(
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
            # After a change of the project the new bucket is created first, and the old one is kept unless it is empty.
            # The provider's default for a resource with a given name is to delete it first.
            opts=self.below(ignore_changes=list(STAYS), delete_before_replace=False),
        ).name


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
