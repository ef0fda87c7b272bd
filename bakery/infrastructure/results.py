"""The resources for results: the ``app_runs`` table with rcc-run's schema, and the topic of the bakery's events."""

import json
from collections.abc import Mapping

import pulumi
from pulumi_gcp import bigquery, pubsub

from bakery.infrastructure.component import STAYS, Component
from bakery.results.app_runs import APP_RUNS
from bakery.settings.google import TABLE


def table_schema() -> str:
    """Return the columns of ``app_runs`` as BigQuery's JSON."""
    columns = [
        {"name": field.name, "type": field.type, "mode": "REQUIRED" if field.required else "NULLABLE"}
        for field in APP_RUNS
    ]
    return json.dumps(columns)


class Results(Component):
    """The dataset, its table (partitioned by month of ``datetime``) and the topic, except those in the settings."""

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare dataset, table and topic."""
        self.dataset = self._dataset(name)
        self.topic = self._topic(name)
        return {"dataset": self.dataset, "topic": self.topic}

    def _dataset(self, name: str) -> pulumi.Output[str]:
        """Return the id of the dataset, and declare the table in it."""
        google = self.google
        if google.table:
            return pulumi.Output.from_input(google.table.partition(".")[0])
        key = google.kms_key
        dataset = bigquery.Dataset(
            f"{name}-dataset",
            project=google.project,
            dataset_id=google.dataset,
            location=google.region,
            description="Results of Fluid-Runs",
            default_encryption_configuration=(
                bigquery.DatasetDefaultEncryptionConfigurationArgs(kms_key_name=key) if key else None
            ),
            opts=self.below(ignore_changes=list(STAYS)),
        )
        bigquery.Table(
            f"{name}-app-runs",
            project=google.project,
            dataset_id=dataset.dataset_id,
            table_id=TABLE,
            description="One row for each job of each Fluid-Run, in rcc-run's fields",
            schema=table_schema(),
            time_partitioning=bigquery.TableTimePartitioningArgs(type="MONTH", field="datetime"),
            clusterings=["command_group"],
            deletion_protection=True,
            # After a change of the project the new table is created first, and the old one is kept; the provider's
            # default is to delete it first.
            opts=self.below(delete_before_replace=False),
        )
        return dataset.dataset_id

    def _topic(self, name: str) -> pulumi.Output[str]:
        google = self.google
        if google.topic:
            return pulumi.Output.from_input(google.topic)
        return pubsub.Topic(
            f"{name}-events",
            project=google.project,
            name=google.named("events"),
            message_retention_duration="604800s",
            kms_key_name=google.kms_key or None,
            opts=self.below(),
        ).name
