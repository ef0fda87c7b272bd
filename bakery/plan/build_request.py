"""The Cloud Build request of a bake: the recipe's own ``cloudbuild.yaml``, made safe to run for one image.

What is changed, and why: ``-force`` goes (it overwrites the last good image); the image is baked outside of its family
(a family points at proven images only); Packer and its plugin are pinned; steps that test go, because proving is
another resource's. Sources: Cloud Build's "Build configuration file schema"; the googlecompute plugin's reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bakery.ovens.base import BakeOrder
from bakery.plan import google_names, names, render
from bakery.plan.google_names import Bucket, Duty
from bakery.recipe.model import Json
from bakery.settings import GoogleSettings

PACKER_IMAGE = "hashicorp/packer:1.11.2"
PLUGIN = "github.com/hashicorp/googlecompute"
PLUGIN_VERSION = "v1.1.6"
PLUGIN_PATH = "/workspace/.packer/plugins"
PLUGIN_ENV = (f"PACKER_PLUGIN_PATH={PLUGIN_PATH}", "CHECKPOINT_DISABLE=1")
BAKERY_TAG = "bakery"
KEPT = ("options", "availableSecrets", "secrets", "artifacts", "queueTtl")
TEST_IMAGES = ("fluid-run", "rcc-run", "fluid-cicb")


def digest_tag(digest: str) -> str:
    """The build tag that all bakes of a digest carry, whoever started them."""
    return f"bakery-{digest[: names.DIGEST_IN_LABEL]}"


def packer_template(order: BakeOrder, google: GoogleSettings, zone: str) -> Json:
    """The recipe's template with its googlecompute builder told what the plan decided.

    The machine that bakes has no external address: Packer reaches it through IAP.
    """
    builders = [
        _builder(builder, order, google, zone)
        for builder in order.template.get("builders", [])
        if builder.get("type") == "googlecompute"
    ]
    return {**order.template, "builders": builders}


def _builder(builder: Mapping[str, Any], order: BakeOrder, google: GoogleSettings, zone: str) -> Json:
    kept = {k: v for k, v in builder.items() if k not in ("image_family", "source_image_family", "instance_name")}
    decided = {
        "project_id": google.project,
        "zone": zone,
        "image_name": order.name,
        "image_labels": dict(order.labels),
        "image_description": f"{order.package} {order.variant} baked from digest {order.digest}".replace("  ", " "),
        "source_image": order.base.name,
        "source_image_project_id": [order.base.project or google.project],
        "subnetwork": google_names.subnetwork(google),
        "instance_name": f"bake-{order.digest[:12]}-{{{{timestamp}}}}",
        "labels": {**builder.get("labels", {}), "bakery": "bake"},
        "tags": sorted({*builder.get("tags", []), "image-bakery"}),
        "service_account_email": google_names.account(google, Duty.MACHINE),
        "metadata": {"block-project-ssh-keys": "true", "enable-oslogin": "false", **builder.get("metadata", {})},
        "omit_external_ip": True,
        "use_internal_ip": True,
        "use_iap": True,
    }
    return kept | decided


def build_request(order: BakeOrder, google: GoogleSettings, zone: str, source: str, session: str) -> Json:
    """The build as JSON, in the API's names.

    ``source`` is the object in the sources bucket; ``session`` a tag that all builds of one caller share, so that one
    list call watches them all.
    """
    steps = [step for step in order.build.get("steps") or _default_steps(order) if not _tests(step)]
    pinned = [_pinned(step) for step in steps]
    if not any("plugins install" in " ".join(map(str, step.get("args") or [])) for step in pinned):
        pinned = [_fetch_plugin(), *(_after_plugin(step) for step in pinned)]
    bucket = google_names.bucket
    return {
        **{key: order.build[key] for key in KEPT if key in order.build},
        "steps": pinned,
        "substitutions": {
            **{k: v for k, v in order.substitutions.items() if k.startswith("_")},
            "_ZONE": zone,
            "_SUBNETWORK": google_names.subnetwork(google),
            "_IMAGE_NAME": order.name,
            "_IMAGE_FAMILY": order.family,
            "_IMAGE_LABELS": ",".join(f"{key}={value}" for key, value in sorted(order.labels.items())),
        },
        "source": {"storageSource": {"bucket": bucket(google, Bucket.SOURCES), "object": source}},
        "timeout": f"{order.timeout}s",
        "serviceAccount": f"projects/{google.project}/serviceAccounts/{google_names.account(google, Duty.BAKE)}",
        "logsBucket": f"gs://{bucket(google, Bucket.LOGS)}/builds",
        "options": {**order.build.get("options", {}), "logging": "GCS_ONLY", "substitutionOption": "ALLOW_LOOSE"},
        "tags": [BAKERY_TAG, digest_tag(order.digest), session, order.name],
    }


def _default_steps(order: BakeOrder) -> list[Json]:
    """For a recipe without ``cloudbuild.yaml``: one call of Packer with the plan's variables."""
    given = [word for name, value in sorted(order.variables.items()) for word in ("-var", f"{name}={value}")]
    return [{"id": "Build Image", "name": PACKER_IMAGE, "args": ["build", *given, order.template_path]}]


def _tests(step: Json) -> bool:
    image = str(step.get("name", "")).rpartition("/")[2].partition(":")[0]
    return image in TEST_IMAGES


def _pinned(step: Json) -> Json:
    """A step that runs Packer without -force, with a pinned Packer and the plugin; others as they are."""
    if not render.is_packer(step):
        return dict(step)
    made = dict(step)
    if isinstance(step.get("args"), list):
        made["args"] = [arg for arg in step["args"] if arg not in ("-force", "--force", "-force=true")]
    name, _, version = str(step.get("name", "")).partition(":")
    if name.endswith("hashicorp/packer") and version in ("", "latest", "light", "full"):
        made["name"] = PACKER_IMAGE
    made["env"] = [*step.get("env", []), *(e for e in PLUGIN_ENV if e not in step.get("env", []))]
    return made


def _fetch_plugin() -> Json:
    return {
        "id": "Fetch Packer plugin",
        "name": PACKER_IMAGE,
        "args": ["plugins", "install", PLUGIN, PLUGIN_VERSION],
        "env": list(PLUGIN_ENV),
        "waitFor": ["-"],
    }


def _after_plugin(step: Json) -> Json:
    if not render.is_packer(step):
        return step
    wanted = [name for name in step.get("waitFor", []) if name != "-"]
    return {**step, "waitFor": [*wanted, "Fetch Packer plugin"]} if step.get("waitFor") else step
