"""The settings that send every request of pulumi-gcp to one loopback port, none of them anywhere else."""

from __future__ import annotations

from collections.abc import Mapping

# The provider's name of a service to the path of its API, in the version that the provider asks by itself
# (``BaseUrl`` of its products). The provider refuses names that it does not know, so only those stand here that the
# bakery's resources need; whatever else is asked for is stopped by ``environment``.
APIS: Mapping[str, str] = {
    "artifactRegistry": "artifactregistry/v1/",
    "bigQuery": "bigquery/bigquery/v2/",
    "cloudBuild": "cloudbuild/v1/",
    "cloudResourceManager": "cloudresourcemanager/v1/",
    "cloudScheduler": "cloudscheduler/v1/",
    "cloudbuildv2": "cloudbuild/v2/",
    "compute": "compute/compute/beta/",
    "iam": "iam/v1/",
    "iamBeta": "iam/v1/",
    "kms": "cloudkms/v1/",
    "pubsub": "pubsub/v1/",
    "resourceManager": "cloudresourcemanager/v1/",
    "resourceManagerV3": "cloudresourcemanager/v3/",
    "serviceUsage": "serviceusage/v1beta1/",
    "storage": "storage/storage/v1/",
}


def settings(url: str) -> dict[str, str]:
    """The provider's configuration for a fake Google Cloud at ``url``."""
    return {
        **{f"gcp:{name}CustomEndpoint": f"{url}/{path}" for name, path in APIS.items()},
        "gcp:project": "p",
        "gcp:region": "us-central1",
        "gcp:accessToken": "none",
        "gcp:requestTimeout": "30s",
        "gcp:pollInterval": "1s",
    }


def environment(url: str) -> dict[str, str]:
    """The provider's environment: what asks for a host of Google's all the same is told no, and noted.

    Custom endpoints cover neither the look at which regions there are, which can be left out, nor the question who
    the owner of the access token is, which is only for the log: see ``EXPECTED_STRAYS``.
    """
    return {
        "HTTPS_PROXY": url,
        "NO_PROXY": "127.0.0.1,localhost",
        "PULUMI_GCP_SKIP_REGION_VALIDATION": "true",
    }


EXPECTED_STRAYS = {"openidconnect.googleapis.com:443"}
