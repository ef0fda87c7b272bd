"""The Cloud Build request of a bake: the recipe's own ``cloudbuild.yaml``, made safe to run for one image.

The changes and their reasons: ``-force`` is removed (it overwrites the last good image); the image is baked outside of
its family (a family points only at proven images); Packer and its plugin are pinned, and run in an image with gcloud,
which the tunnel to a machine without external address needs; steps that test are removed, since another resource tests.
Sources: Cloud Build's "Build configuration file schema" and "Substituting variable values"; the googlecompute
plugin's reference.
"""

import posixpath
import re
import shlex
from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import Any

from bakery.errors import BakeFailed
from bakery.orders.model import BakeOrder
from bakery.ovens.cloud_build import secrets
from bakery.ovens.cloud_build.machine_options import deadline, spot, undone
from bakery.ovens.cloud_build.network import environment, on_google, with_mirrors
from bakery.ovens.cloud_build.variable_files import changed_words, known_files, without_variable_files
from bakery.plan import image_labels
from bakery.plan.template import DECIDED, downloaded_paths, title
from bakery.recipe import licence_servers
from bakery.recipe.hcl2.render import joined, merged, other_plugins, to_pkr_json
from bakery.recipe.model import BuildCalls, Json
from bakery.recipe.network import provisioners
from bakery.recipe.packer_call import build_calls, calls, image, leaves, tests, with_choices
from bakery.recipe.templating import FAMILY, GOOGLE_BUILDER, builder_name, is_packer, packer_arguments, references
from bakery.redaction import redacted
from bakery.settings import GoogleSettings, NetworkSettings
from bakery.settings.google import BAKE, SSH_TAG, Bucket, Duty
from bakery.settings.network import DIRECT

PACKER_IMAGE = "hashicorp/packer:1.16.1@sha256:9fd66d5a4ea0598036e6b50ac6f8c0e72c27746648a5abe480463119e9486ea7"
GCLOUD_IMAGE = "gcr.io/google.com/cloudsdktool/google-cloud-cli:578.0.0-slim"
PLUGIN = "github.com/hashicorp/googlecompute"
PLUGIN_VERSION = "v1.2.5"
TOOLS = "/workspace/.packer"
PACKER = f"{TOOLS}/packer"
PLUGIN_ENV = (f"PACKER_PLUGIN_PATH={TOOLS}/plugins", "CHECKPOINT_DISABLE=1", "PACKER_NO_COLOR=1")
PATH = f"{TOOLS}:/google-cloud-sdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FETCH = "Fetch Packer"
BAKERY_TAG = "bakery"
SPOT_TAG = "bakery-spot"  # of builds whose machine is a spot one
QUEUE_SECONDS = 86_400  # a build waits in the queue of a busy project; Cloud Build's default is an hour
KEPT = ("availableSecrets", "secrets", "artifacts", "queueTtl")
REGIONAL = ("pool", "workerPool", "defaultLogsBucketBehavior")  # Cloud Build refuses them elsewhere
BUILD_ID = "BAKERY_BUILD"  # in the environment of every step: the machine is named after the build
_FORCE = re.compile(r"(?<!\S)--?force(=true)?(?!\S)")
_HCL2 = re.compile(r"[\w.-]+\.pkr\.(?:hcl|json)\b")
_ONE = re.compile(r"\$\{(_[A-Z0-9_]+)\}|\$(_[A-Z0-9_]+)")


def packer_template(
    order: BakeOrder,
    google: GoogleSettings,
    zone: str,
    network: NetworkSettings = DIRECT,
    *,
    own: Json = MappingProxyType({}),
) -> Json:
    """Return the recipe's template with the plan's decisions in its builder and in the defaults of its variables.

    The machine that bakes has no external address: Packer connects to it through IAP. ``own`` are options of the
    builder that replace these decisions.
    """
    builders = [
        {**_builder(builder, order, google, zone), **own}
        for builder in order.template.get("builders", [])
        if builder.get("type") == GOOGLE_BUILDER
    ]
    declared = order.template.get("variables") or {}
    used = references(order.template) if known_files(order) else ()
    passed = {name: order.variables[name] for name in sorted(used) if name in order.variables}
    variables = {**passed, **{name: order.variables.get(name, default) for name, default in declared.items()}}
    variables["bakery_build"] = f"{{{{env `{BUILD_ID}`}}}}"
    made = {**order.template, "variables": variables, "builders": builders}
    before, given, after = provisioners(made.get("provisioners") or (), on_google(network))
    made |= {"provisioners": [*before, *given, *after]} if before else {}
    template = secrets.with_secrets(made, order.secrets)
    servers = licence_servers.provisioners(order.licence_servers)
    if servers:  # only the machine is where they are reached from
        template = {**template, "provisioners": [*servers, *(template.get("provisioners") or ())]}
    return to_pkr_json(template) if "hcl2" in template else template


def _builder(builder: Mapping[str, Any], order: BakeOrder, google: GoogleSettings, zone: str) -> Json:
    kept = {key: value for key, value in builder.items() if key not in (*DECIDED, *undone(builder, spot=google.spot))}
    decided = {
        "project_id": google.project,
        "zone": zone,
        "image_name": order.name,
        "image_labels": _image_labels(order, google),
        "image_description": f"{order.package} {order.variant} baked from digest {order.digest}".replace("  ", " "),
        "source_image": order.base.name,
        "source_image_project_id": [order.base.project or google.project],
        "subnetwork": google.subnetwork_path,
        "instance_name": f"{BAKE}{{{{user `bakery_build`}}}}",
        **(spot() if google.spot else deadline(order)),
        "labels": merged(builder.get("labels"), google.machine_labels("bake", order.package)),
        "tags": joined(builder.get("tags"), SSH_TAG),
        "service_account_email": google.account(Duty.MACHINE),
        **_login(builder, google),
        "image_storage_locations": builder.get("image_storage_locations") or [google.stored_in(zone)],
        "omit_external_ip": True,
        "use_internal_ip": True,
        "use_iap": True,
    }
    key = {"kmsKeyName": google.kms_key}
    encrypted = {"disk_encryption_key": key, "image_encryption_key": key} if google.kms_key else {}
    return kept | decided | encrypted


def _image_labels(order: BakeOrder, google: GoogleSettings) -> dict[str, str]:
    return {**google.labels, **order.labels}


def _login(builder: Mapping[str, Any], google: GoogleSettings) -> Json:
    """Return how Packer logs in to the machine. Metadata for that does not reach the image, nor its digest."""
    metadata = merged({"block-project-ssh-keys": "true", "enable-oslogin": "false"}, builder.get("metadata"))
    if google.os_login:
        return {"metadata": merged(metadata, {"enable-oslogin": "TRUE"}), "use_os_login": True}
    return {"metadata": metadata}


def build_request(
    order: BakeOrder, google: GoogleSettings, zone: str, source: str, session: str, *, network: NetworkSettings = DIRECT
) -> Json:
    """Return the build as JSON, with the API's names.

    ``source`` is the object in the sources bucket; ``session`` is a tag that all builds of one process share, so that a
    single list call watches them all. Raises BakeFailed if the order has a secret.
    """
    if secret := sorted(name for name, value in order.variables.items() if redacted(value) != value):
        message = f"the secret {', '.join(secret)} would be readable in the build and in the image"
        raise BakeFailed(message, hint="copy what it names to a bucket, and set its gs:// address without --secret")
    return {
        "queueTtl": f"{QUEUE_SECONDS}s",
        **{key: order.build[key] for key in KEPT if key in order.build},
        **secrets.available(order, google.project),
        **_kept_files(order, google.bucket(Bucket.LOGS)),
        "steps": [with_mirrors(step, network) for step in steps(order)],
        "substitutions": {
            **_defaults(order),
            **{key: value for key, value in order.substitutions.items() if key.startswith("_")},
            "_ZONE": zone,
            "_SUBNETWORK": google.subnetwork_path,
            "_IMAGE_NAME": order.name,
            FAMILY: order.family,
            "_IMAGE_LABELS": ",".join(f"{key}={value}" for key, value in sorted(_image_labels(order, google).items())),
        },
        "source": {"storageSource": {"bucket": google.bucket(Bucket.SOURCES), "object": source}},
        "timeout": f"{order.timeout}s",
        "serviceAccount": f"projects/{google.project}/serviceAccounts/{google.account(Duty.BAKE)}",
        "logsBucket": f"gs://{google.bucket(Bucket.LOGS)}/builds",
        "options": _options(order, google, network),
        "tags": _tags(order, session, google),
    }


def _tags(order: BakeOrder, session: str, google: GoogleSettings) -> list[str]:
    found = [BAKERY_TAG, f"bakery-{order.digest[: image_labels.DIGEST_IN_LABEL]}", session, order.name]
    return [*found, SPOT_TAG] if google.spot else found


def _options(order: BakeOrder, google: GoogleSettings, network: NetworkSettings) -> Json:
    """Return the recipe's options that are valid for a build whose logs have a bucket, and the stack's own."""
    given = {key: value for key, value in (order.build.get("options") or {}).items() if key not in REGIONAL}
    variables = environment(network)
    return {
        **given,
        **({"env": [*variables, *(given.get("env") or ())]} if variables else {}),
        **({"pool": {"name": google.worker_pool}} if google.worker_pool else {}),
        "logging": "GCS_ONLY",
        "substitutionOption": "ALLOW_LOOSE",
    }


def _kept_files(order: BakeOrder, bucket: str) -> Json:
    """Keep what the recipe downloads from the machine (``spack.lock``), unless the recipe has its own artifacts."""
    paths = downloaded_paths(order.template, order.variables)
    if not paths or "artifacts" in order.build:
        return {}
    return {"artifacts": {"objects": {"location": f"gs://{bucket}/kept/{order.name}/", "paths": list(paths)}}}


def _defaults(order: BakeOrder) -> dict[str, str]:
    """Return values for the substitutions that Packer's arguments use and that are not set.

    Cloud Build would pass an empty text; they get the template's default, which the plan assumed.
    """
    values: dict[str, str] = {}
    for name, text in packer_arguments(order.build).items():
        match = _ONE.fullmatch(text)
        if match and name in order.variables:
            values[match[1] or match[2]] = order.variables[name]
    return values


def steps(order: BakeOrder) -> list[Json]:
    """Return the recipe's steps as they are run; one call of Packer for a recipe without ``cloudbuild.yaml``.

    Steps that bake other packages, or this one with another builder, are removed: those have builds of their own.
    """
    default = [{"id": "Build Image", "name": PACKER_IMAGE, "args": ["build", order.template_path]}]
    given = order.build.get("steps") or default
    others = build_calls(order.build, order.package).others
    known = known_files(order)
    given = [without_variable_files(step, known, order.substitutions) for step in given] if known else given
    if "hcl2" in order.template:
        given = [_with_template(step, posixpath.basename(order.template_path)) for step in given]
    removed = [tests(step) or index in others or _of_other_builder(step, order) for index, step in enumerate(given)]
    gone = {str(step.get("id")) for step, remove in zip(given, removed, strict=True) if remove}
    kept = [_waiting(step, gone) for step, remove in zip(given, removed, strict=True) if not remove]
    made = [_named(secrets.given(_packer(step), order.secrets) if is_packer(step) else step) for step in kept]
    if any("plugins install" in str(step.get("args", "")) for step in made):
        return made  # the recipe installs its own Packer
    return [_fetch(order.template), *(_after_fetch(step) for step in made)]


def _of_other_builder(step: Json, order: BakeOrder) -> bool:
    """Whether all calls of Packer in a step are only for builders that this template has not."""
    options: Json = next(iter(order.template.get("builders") or ()), {})
    own = title(order.template, str(options.get("type")), builder_name(options))
    found = with_choices(BuildCalls(tuple(calls(step))), order.build, order.substitutions).calls
    return bool(found) and not any(leaves(own, call.only, call.exclude) for call in found)


def _waiting(step: Json, gone: Set[str]) -> Json:
    """Return the step without removed steps in its waitFor; with none left it waits for all steps before it."""
    left = [name for name in step.get("waitFor") or () if name not in gone]
    return {**{key: value for key, value in step.items() if key != "waitFor"}, **({"waitFor": left} if left else {})}


def _packer(step: Json) -> Json:
    """Return a step that runs Packer without -force, with the plugin, and in gcloud's image in place of Packer's."""
    changed = dict(step)
    if isinstance(step.get("args"), list):
        changed["args"] = [_FORCE.sub("", arg) for arg in map(str, step["args"]) if not _FORCE.fullmatch(arg)]
    for key in ("args", "script"):
        if isinstance(step.get(key), str):
            changed[key] = _FORCE.sub("", step[key])
    env = list(PLUGIN_ENV)
    if image(step).endswith("hashicorp/packer"):
        changed["name"] = GCLOUD_IMAGE
        env.append(f"PATH={PATH}")
        if "script" not in step:
            changed["entrypoint"] = step.get("entrypoint") or PACKER
    changed["env"] = [*(step.get("env") or []), *(entry for entry in env if entry not in (step.get("env") or []))]
    return changed


def _named(step: Json) -> Json:
    """Return the step with the id of its build in the environment of all its commands."""
    return {**step, "env": [*(step.get("env") or []), f"{BUILD_ID}=$BUILD_ID"]}


def _with_template(step: Json, name: str) -> Json:
    """Return a step in which every file of an HCL2 template is the one that replaces them."""
    return changed_words(step, lambda words: [_HCL2.sub(name, word) for word in words])


def _fetch(template: Json) -> Json:
    """Return the step that copies Packer and installs the plugins for the steps that bake."""
    script = f'mkdir -p {TOOLS}; cp "$$(command -v packer)" {PACKER}; packer plugins install {PLUGIN} {PLUGIN_VERSION}'
    for plugin in other_plugins(template).values():
        words = [plugin["source"], *([plugin["version"]] if plugin.get("version") else [])]
        script += f"; packer plugins install {shlex.join(words)}"
    return {
        "id": FETCH,
        "name": PACKER_IMAGE,
        "entrypoint": "sh",
        "args": ["-euc", script],
        "env": list(PLUGIN_ENV),
        "waitFor": ["-"],
    }


def _after_fetch(step: Json) -> Json:
    """Return the step after the one that fetches Packer, if it has its own waitFor."""
    if not step.get("waitFor") or not is_packer(step):
        return step
    return {**step, "waitFor": [*(name for name in step["waitFor"] if name != "-"), FETCH]}
