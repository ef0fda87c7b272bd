"""Methods of ours without a recorded exchange: where the fake's behaviour is known from, beyond the discovery document.

``ASSUMED`` marks those for which nothing of the method itself was found; the reason says what it is taken from.
"""

from __future__ import annotations

from collections.abc import Mapping

ASSUMED = "assumed: "
IAM = ASSUMED + "google.iam.v1 is one contract; recorded for Cloud KMS, quoted for projects"
POLICY_CONFLICT = "https://github.com/DataBiosphere/leonardo/pull/737, 2019-01-16: 409, aborted, with its body"
FILTER = "https://github.com/googleapis/google-cloud-go/issues/11318, 2024-12-19: 400, invalid list filter expression"
TRIGGER = "https://github.com/GoogleCloudPlatform/k8s-config-connector/issues/370, 2021-01-20: 409, (number, name)"
NO_ENTITY = "https://github.com/GoogleCloudPlatform/cloud-builders/issues/699, 2020-06-18: 404, no entity of that name"
NO_JOB = "https://github.com/firebase/firebase-tools/pull/1224, 2019-04-30: 404 for a job that is not there"
POOL = "https://github.com/terraform-google-modules/terraform-google-github-actions-runners/issues/49, 2022-01-04: 409"
CONDITION = "https://github.com/chainguard-dev/terraform-infra-common/pull/672, 2024-12-17: 400 without a condition"
MARKED = "https://github.com/hashicorp/terraform-provider-google/issues/14805, 2023-06-04: a deleted one is still there"
UNDELETE = "https://github.com/terraform-google-modules/terraform-google-bastion-host/issues/14, 2019-11-14"

QUOTED: Mapping[str, str] = {
    "artifactregistry.projects.locations.repositories.getIamPolicy": IAM,
    "artifactregistry.projects.locations.repositories.setIamPolicy": IAM,
    "bigquery.datasets.update": ASSUMED + "as bigquery.datasets.patch, which is recorded",
    "bigquery.tabledata.insertAll": "https://github.com/google/weather-tools/issues/94, 2022-01-19: insertErrors; "
    "https://github.com/fluent-plugins-nursery/fluent-plugin-bigquery/pull/38, 2015-03-19: the others are stopped",
    "bigquery.tables.patch": "https://github.com/googleapis/google-cloud-python/issues/5589, 2018-07-11: 412",
    "cloudbuild.projects.builds.cancel": "https://github.com/knative/build/issues/54, 2018-02-22: 400 once it ended",
    "cloudbuild.projects.builds.create": "https://github.com/knative/build/issues/17, 2018-02-08: 400, invalid build",
    "cloudbuild.projects.builds.get": "https://github.com/googleapis/google-cloud-node/issues/3535, 2022-09-22; "
    "https://github.com/googleapis/google-cloud-python/issues/12123, 2023-12-14: the words of Cloud Build's 404",
    "cloudbuild.projects.builds.list": "https://github.com/GoogleCloudPlatform/cloud-builders-community/issues/386, "
    "2020-03-29: a filter that selects nothing is no error",
    "cloudbuild.projects.locations.connections.getIamPolicy": IAM,
    "cloudbuild.projects.locations.connections.setIamPolicy": IAM,
    "cloudbuild.projects.locations.triggers.create": TRIGGER,
    "cloudbuild.projects.locations.triggers.delete": NO_ENTITY,
    "cloudbuild.projects.locations.triggers.get": NO_ENTITY,
    "cloudbuild.projects.locations.triggers.patch": NO_ENTITY,
    "cloudresourcemanager.projects.getEffectiveOrgPolicy": "https://github.com/googleapis/google-cloud-go/issues/9201, "
    "2023-12-27: groups of locations are expanded in the policy that is in force",
    "cloudresourcemanager.projects.getIamPolicy": POLICY_CONFLICT,
    "cloudresourcemanager.projects.setIamPolicy": POLICY_CONFLICT,
    "cloudscheduler.projects.locations.jobs.create": "https://github.com/hashicorp/terraform-provider-google/"
    "issues/16918, 2024-01-08: 409 with the job's whole name",
    "cloudscheduler.projects.locations.jobs.delete": NO_JOB,
    "cloudscheduler.projects.locations.jobs.get": NO_JOB,
    "cloudscheduler.projects.locations.jobs.patch": NO_JOB,
    "compute.disks.aggregatedList": FILTER,
    "compute.disks.setLabels": "https://github.com/NetApp/terraform-provider-netapp-cloudmanager/issues/39, "
    "2021-04-03: 412, conditionNotMet",
    "compute.images.deprecate": "https://github.com/hashicorp/packer-plugin-googlecompute/issues/297, 2025-08-19: "
    "the state is what was sent, at once; https://github.com/googleapis/python-compute/pull/277, 2022-04-30: no field "
    "`deprecated` until it is set",
    "compute.images.getIamPolicy": "https://github.com/prowler-cloud/prowler/pull/9718, 2026-01-05: no bindings",
    "compute.images.list": FILTER,
    "compute.images.setIamPolicy": IAM,
    "compute.instanceTemplates.aggregatedList": "https://github.com/buildbuddy-io/buildbuddy/pull/7769, 2024-10-21: "
    "templates of regions and global ones",
    "compute.instances.getSerialPortOutput": "https://github.com/googleapis/nodejs-compute/issues/474, 2020-07-29: "
    "`start` and `next` count bytes",
    "compute.instances.list": "https://github.com/googleapis/nodejs-compute/issues/48, 2018-03-02: 400, AND behind eq",
    "compute.machineTypes.get": ASSUMED + "the form of 404 that is recorded of other resources of a zone",
    "compute.projects.get": "https://github.com/GoogleCloudPlatform/professional-services/issues/466, "
    "2020-05-04: quotas of a project",
    "compute.regions.get": "https://github.com/GoogleCloudPlatform/pubsec-declarative-toolkit/issues/590, 2023-11-03: "
    "quotas of us-central1",
    "compute.resourcePolicies.delete": "https://github.com/hashicorp/terraform-provider-google/issues/9435, "
    "2021-06-24: 400, resourceInUseByAnotherResource",
    "compute.resourcePolicies.insert": "https://github.com/GoogleCloudPlatform/scientific-computing-examples/"
    "issues/53, 2023-05-20: 409, alreadyExists",
    "compute.resourcePolicies.list": FILTER,
    "compute.subnetworks.patch": ASSUMED + "as compute.networks.patch, which is recorded",
    "compute.zoneOperations.list": "https://github.com/cloudpilot-ai/karpenter-provider-gcp/pull/37, 2025-05-15: "
    "operations of the type compute.instances.preempted, begun by the system",
    "iam.projects.locations.workloadIdentityPools.create": POOL,
    "iam.projects.locations.workloadIdentityPools.delete": MARKED,
    "iam.projects.locations.workloadIdentityPools.get": MARKED,
    "iam.projects.locations.workloadIdentityPools.patch": "https://github.com/openshift-online/ocm-cli/pull/696, "
    "2024-12-11: a patch enables a pool that was disabled",
    "iam.projects.locations.workloadIdentityPools.providers.create": CONDITION,
    "iam.projects.locations.workloadIdentityPools.providers.delete": MARKED,
    "iam.projects.locations.workloadIdentityPools.providers.get": MARKED,
    "iam.projects.locations.workloadIdentityPools.providers.patch": "https://github.com/GoogleCloudPlatform/"
    "magic-modules/pull/4879, 2021-06-16: 400, a FieldMask with at least one path must be specified",
    "iam.projects.roles.create": UNDELETE,
    "iam.projects.roles.delete": UNDELETE,
    "iam.projects.roles.get": "https://github.com/pulumi/pulumi-gcp/issues/70, 2018-12-01: 400 for a malformed name",
    "iam.projects.roles.patch": ASSUMED + "as iam.projects.serviceAccounts.patch, which is recorded",
    "iam.projects.serviceAccounts.getIamPolicy": IAM,
    "iam.projects.serviceAccounts.setIamPolicy": "https://github.com/googleapis/google-cloud-cpp/issues/7166, "
    "2021-08-13: aborted, concurrent policy changes",
    "pubsub.projects.topics.getIamPolicy": IAM,
    "pubsub.projects.topics.publish": "https://github.com/googleapis/nodejs-pubsub/issues/1269, 2021-04-27: 404",
    "pubsub.projects.topics.setIamPolicy": IAM,
    "storage.buckets.getIamPolicy": "https://github.com/pulumi/pulumi-google-native/pull/696, 2022-09-19: conditions "
    "only with optionsRequestedPolicyVersion",
    "storage.buckets.setIamPolicy": IAM,
    "storage.projects.serviceAccount.get": "https://github.com/hashicorp/terraform-provider-google/issues/9730, "
    "2021-08-05: the question makes the account",
    "storage.objects.delete": "https://github.com/googleapis/nodejs-storage/issues/1183, 2020-05-10: no such object",
    "storage.objects.get": "https://github.com/firebase/firebase-tools/pull/3647, 2021-08-09: plain text of downloads",
    "storage.objects.insert": "https://github.com/fsouza/fake-gcs-server/pull/2347, 2026-08-26: the words",
}
