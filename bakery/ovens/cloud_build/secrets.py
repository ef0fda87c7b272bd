"""The secrets of a bake on Google Cloud: Secret Manager gives them to the steps of the build that run Packer.

They are in the environment of these steps only, and Packer hides them in its output. Neither the request nor the source
of the build has them. Sources: "Use secrets from Secret Manager" of Cloud Build's documentation; ``content`` in the
reference of Packer's file provisioner.
"""

from bakery.orders.model import BakeOrder
from bakery.recipe.model import Json
from bakery.recipe.secrets import SECRET_MANAGER, VERSION, Secrets, provisioners, search


def _variables(secrets: Secrets) -> dict[str, str]:
    """Map the names of the secrets to Packer variables; in capitals, these are those of the environment."""
    return {name: f"bakery_secret_{number}" for number, name in enumerate(sorted(secrets))}


def with_secrets(template: Json, secrets: Secrets) -> Json:
    """Return the template that brings the secrets into the machine and searches it last; without any, the same."""
    if not secrets:
        return template
    names = _variables(secrets)
    first = provisioners({name: {"content": f"{{{{user `{variable}`}}}}"} for name, variable in names.items()})
    values = {variable: f"{{{{env `{variable.upper()}`}}}}" for variable in names.values()}
    return {
        **template,
        "variables": {**template["variables"], **values},
        "sensitive-variables": [*(template.get("sensitive-variables") or ()), *values],
        "provisioners": [*first, *(template.get("provisioners") or ()), *search()],
    }


def available(order: BakeOrder, project: str) -> Json:
    """Return the field of the request that says where the secrets are, beside those of the recipe's own build."""
    if not order.secrets:
        return {}
    own = order.build.get("availableSecrets") or {}
    names = {name: _version(order.secrets[name], project) for name in order.secrets}
    ours = [
        {"versionName": names[name], "env": variable.upper()} for name, variable in _variables(order.secrets).items()
    ]
    return {"availableSecrets": {**own, "secretManager": [*(own.get("secretManager") or ()), *ours]}}


def _version(secret: Json, project: str) -> str:
    name = secret[SECRET_MANAGER]
    whole = name if "/" in name else f"projects/{project}/secrets/{name}"
    return f"{whole}/versions/{secret[VERSION]}"


def given(step: Json, secrets: Secrets) -> Json:
    """Return a step that runs Packer with the secrets in its environment."""
    names = [variable.upper() for variable in _variables(secrets).values()]
    return {**step, "secretEnv": [*(step.get("secretEnv") or ()), *names]} if names else step
