"""The service agents that use the key of the settings, and their grants on it.

An agent does not exist before it is asked for, and IAM refuses a grant to an account that does not exist. Sources:
recorded exchanges of ``generateServiceIdentity`` for BigQuery and Pub/Sub; for Cloud Storage it makes no address, but
the question for the agent does (https://github.com/hashicorp/terraform-provider-google/issues/18649, 2024-09-30, and
/9730, 2021-08-05). That of Compute Engine exists since the service was enabled.
"""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_gcp import projects

from bakery.infrastructure.component import Component, texts

ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
IDENTITIES = ("artifactregistry", "bigquery", "pubsub")


class Encryption(Component):
    """The agents of ``google.kmsKey`` and their grants; ``ready`` is what encrypted resources wait for.

    The grants are made if the key is one of the stack's own project; ``known`` has a text for each of them. They stay
    after a destroy, as the buckets with results do, which could not be read without them.
    """

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare the agents, then their grants."""
        self.ready: list[pulumi.Resource] = []
        agents = self._agents(name)
        own = self.google.kms_key.split("/")[1] == self.google.project
        grants = self._grants(name, agents) if own else []
        self.ready += grants
        self.known = texts(grants)
        return agents

    def _agents(self, name: str) -> dict[str, pulumi.Output[str]]:
        """Return the addresses of the agents by service."""
        from pulumi_gcp import storage

        project = self.google.project
        found: dict[str, pulumi.Output[str]] = {}
        for service in IDENTITIES:
            identity = projects.ServiceIdentity(
                f"{name}-{service}", project=project, service=f"{service}.googleapis.com", opts=self.below()
            )
            self.ready.append(identity)
            found[service] = identity.email
        options = pulumi.InvokeOutputOptions(parent=self, depends_on=list(self.after))
        found["storage"] = storage.get_project_service_account_output(project=project, opts=options).email_address
        found["compute"] = found["pubsub"].apply(lambda email: email.replace("@gcp-sa-pubsub.", "@compute-system."))
        return found

    def _grants(self, name: str, agents: Mapping[str, pulumi.Output[str]]) -> list[Any]:
        from pulumi_gcp import kms

        return [
            kms.CryptoKeyIAMMember(
                f"{name}-key-{service}",
                crypto_key_id=self.google.kms_key,
                role=ROLE,
                member=pulumi.Output.format("serviceAccount:{0}", email),
                opts=self.below(retain_on_delete=True),
            )
            for service, email in agents.items()
        ]
