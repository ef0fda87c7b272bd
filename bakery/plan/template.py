"""What a Packer template's builder says: where to bake, what shapes the disk, which image to start from.

Field names from the reference of Packer's googlecompute builder.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from bakery.recipe.expressions import fill, mentions
from bakery.recipe.hcl2.render import merged, other_plugins
from bakery.recipe.model import Json
from bakery.recipe.parse.document import texts
from bakery.recipe.templating import GOOGLE_BUILDER, builder_name, declared, only_reference, references, resolve

# What shapes the disk or what runs on it. All other options say where and on what machine to bake, what things are
# called, or how to reach the machine.
DISK_OPTIONS = (
    "disk_size",
    "image_architecture",
    "image_guest_os_features",
    "image_licenses",
    "metadata",
    "metadata_files",
    "ssh_username",
    "startup_script_file",
    "wrap_startup_script",
)
WHERE = ("project_id", "zone", "region", "subnetwork", "network", "network_project_id", "machine_type", "disk_type")
# The machine that bakes, how to reach it, and what becomes of the image afterwards. An option that is in none of these
# lists counts.
_OF_THE_BAKE = """
access_token account_file address accelerator_count accelerator_type communicator credentials_file credentials_json
custom_endpoints delete_at deprecate_at disable_default_service_account disk_encryption_key disk_name
enable_integrity_monitoring enable_nested_virtualization enable_secure_boot enable_vtpm host_keys iap_ext iap_hashbang
iap_localhost_port iap_tunnel_launch_wait image_encryption_key image_labels image_project_id image_storage_locations
impersonate_service_account instance_termination_action labels max_run_duration_in_seconds min_cpu_platform name
node_affinity obsolete_at omit_external_ip on_host_maintenance pause_before_connecting preemptible quota_project
scopes service_account_email skip_create_image state_timeout tags type universe_domain use_iap use_internal_ip
use_os_login vault_gcp_oauth_engine wait_to_add_ssh_keys
"""
OF_THE_BAKE = frozenset(_OF_THE_BAKE.split())
CONNECTION = ("ssh_", "winrm_", "windows_", "temporary_key_pair_")
# The base image counts by its identity, so its names don't.
NAMES = (
    "image_name",
    "image_family",
    "image_description",
    "instance_name",
    "source_image",
    "source_image_family",
    "source_image_project_id",
)
# What the plan or the stack decides of a bake on Google Cloud: names, identity, network, and that there is an image.
_DECIDED = """
access_token account_file address credentials_file credentials_json disable_default_service_account image_family
image_project_id impersonate_service_account instance_name network network_ip network_project_id skip_create_image
source_image_family use_os_login vault_gcp_oauth_engine
"""
DECIDED = frozenset(_DECIDED.split())
OTHER_PARTS = ("error-cleanup-provisioner", "post-processors")
BUILDER_NAMES = "packer.json builder"  # the key of name and type in what counts as a whole
# Public projects by the beginning of their families' names. Source: "Operating system details" of Compute Engine's
# documentation, and the plugin's driver_gce.go, both of 2025.
PUBLIC: tuple[tuple[str, str], ...] = (
    (r"almalinux-\d", "almalinux-cloud"),
    (r"centos-(stream-)?\d", "centos-cloud"),
    (r"cos-(\d|stable|beta|dev|arm64)", "cos-cloud"),
    (r"debian-\d", "debian-cloud"),
    (r"fedora-cloud-\d", "fedora-cloud"),
    (r"fedora-coreos-", "fedora-coreos-cloud"),
    (r"hpc-(centos|rocky-linux|rhel)-\d", "cloud-hpc-image-public"),
    (r"opensuse-leap", "opensuse-cloud"),
    (r"rhel-\d+-sap", "rhel-sap-cloud"),
    (r"rhel-\d", "rhel-cloud"),
    (r"rocky-linux-\d", "rocky-linux-cloud"),
    (r"sles-\d+-sp\d+-sap", "suse-sap-cloud"),
    (r"sles-\d", "suse-cloud"),
    (r"ubuntu-pro-", "ubuntu-os-pro-cloud"),
    (r"ubuntu-(minimal-|accelerator-)?\d", "ubuntu-os-cloud"),
    (r"windows-\d", "windows-cloud"),
)
# Where bakes take the same bytes from: a mirror or a cache never decides what they are.
TRANSPORT = frozenset({"spack_cache", "spack_cache_key", "spack_mirror"})


def builder(template: Json) -> Mapping[str, Json]:
    """Return the builder that is used: the googlecompute one, else the first; {} if there is none."""
    found = [entry for entry in template.get("builders") or [] if isinstance(entry, Mapping)]
    google = (entry for entry in found if entry.get("type") == GOOGLE_BUILDER)
    return next(google, found[0] if found else {})


def disk_options(template: Json) -> dict[str, Json]:
    """Return the builder's options that determine the disk, as the template has them, and those that are not known."""
    options = builder(template)
    known = {*WHERE, *NAMES, *OF_THE_BAKE}
    unknown = [key for key in options if key not in known and not key.startswith(CONNECTION)]
    counted = (*DISK_OPTIONS, *unknown) if options.get("type") == GOOGLE_BUILDER else DISK_OPTIONS
    plugins = other_plugins(template)  # provisioners are plugins, too
    return {key: options[key] for key in counted if key in options} | ({"required_plugins": plugins} if plugins else {})


def title(template: Json, kind: str, name: str) -> str:
    """Return how ``-only`` names a builder of the template: in HCL2 with its type, after the name of its build."""
    if "hcl2" not in template:
        return name
    return ".".join([*([template["hcl2"]["build"]] if "build" in template["hcl2"] else ()), kind, name])


def for_builder(template: Json, options: Mapping[str, Json]) -> Json:
    """Return the template with this builder alone.

    What other builders would run goes with them, and what names this one (``only``, ``except``, ``override``) is
    applied: Packer refuses the name of a builder that does not exist.
    """
    name = builder_name(options)
    made = {**template, "builders": [options]}
    if "provisioners" in template:
        made["provisioners"] = _applied(template["provisioners"], name)
    if "post-processors" in template:
        chains = (entry if isinstance(entry, list) else [entry] for entry in template["post-processors"] or [])
        made["post-processors"] = [left for chain in chains if (left := _applied(chain, name))]
    cleanup = template.get("error-cleanup-provisioner")
    if isinstance(cleanup, Mapping):
        made["error-cleanup-provisioner"] = _overridden(cleanup, name)
    return made


def _applied(entries: Json, name: str) -> list[Json]:
    kept = [entry for entry in entries or [] if not isinstance(entry, Mapping) or not _skips(entry, name)]
    return [_overridden(entry, name) if isinstance(entry, Mapping) else entry for entry in kept]


def _skips(entry: Mapping[str, Json], name: str) -> bool:
    if entry.get("only"):
        return name not in entry["only"]
    return name in (entry.get("except") or ())


def _overridden(entry: Mapping[str, Json], name: str) -> Json:
    override = entry.get("override")
    own = override.get(name) if isinstance(override, Mapping) else None
    kept = {key: value for key, value in entry.items() if key not in ("only", "except", "override")}
    return {**kept, **(own if isinstance(own, Mapping) else {})}


def other_parts(template: Json, names_builder: bool = False) -> dict[str, Json]:
    """Return what Packer runs besides the provisioners, and the names of the builder if a provisioner reads them.

    ``names_builder`` says that a script reads them from its environment.
    """
    parts = {f"packer.json {key}": template[key] for key in OTHER_PARTS if template.get(key)}
    found = [text for text in texts([template.get("provisioners"), *parts.values()]) if "build_" in text]
    if names_builder or any(mentions(text, name) for name in ("build_name", "build_type") for text in found):
        parts[BUILDER_NAMES] = {key: builder(template).get(key) for key in ("name", "type")}
    return parts


def location_variables(template: Json) -> frozenset[str]:
    """Return the variables that only determine where to bake, names, and the route of downloads.

    A variable counts as a name only when it is the whole of the option: ``image_name: "x-{{user `compiler`}}"`` does
    not make the compiler a name.
    """
    options = builder(template)
    where = references([options[key] for key in WHERE if key in options])
    names = {only_reference(options[key]) for key in NAMES if key in options}
    return frozenset((where | names | TRANSPORT) - {""})


def concealed(template: Json) -> frozenset[str]:
    """Return the sensitive variables, those that are made from them, and ``packer.json OPTION`` for such options."""
    names = set(template.get("sensitive-variables") or ())
    defaults = declared(template) if names else {}
    while more := {name for name, text in defaults.items() if name not in names and names & references(text)}:
        names |= more
    return frozenset(names | {f"packer.json {option}" for option in template.get("hcl2", {}).get("hidden", ())})


def source_project(options: Mapping[str, Json], family: str, variables: Mapping[str, str]) -> str:
    """Return the project of the base image ``family`` in the template; "" if it says none that is known before a bake.

    The plugin takes one or a list, of which it looks in each: the one that publishes the family, else the first.
    """
    given = options.get("source_image_project_id") or ""
    projects = [fill(str(one), variables) for one in (given if isinstance(given, list) else [given])]
    known = [project for project in projects if project and "{{" not in project]
    public = public_project(family)
    return public if public in known else next(iter(known), "")


def public_project(family: str) -> str:
    """Return the public project of an image family; "" if none is known.

    Without ``source_image_project_id`` the plugin looks in its own project and then in the public ones.
    """
    return next((project for pattern, project in PUBLIC if re.match(pattern, family)), "")


def downloaded_paths(template: Json, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the paths, relative to the workspace, where the template's downloads are stored."""
    known = resolve({**declared(template), **variables})
    entries = [entry for entry in template.get("provisioners") or [] if isinstance(entry, Mapping)]
    found = [
        fill(str(entry.get("destination", "")), known) for entry in entries if entry.get("direction") == "download"
    ]
    return tuple(
        path
        for path in found
        if path and not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts
    )


def pinned(template: Json, *, name: str, base: str, external: bool, labels: Mapping[str, str]) -> Json:
    """Return the template to bake: the builder makes image ``name`` from exactly the image ``base``.

    The image gets no family, which is left to the promotion. The machine gets no name from the image, which could be
    too long; Packer generates a shorter one.
    """
    made = dict(template)
    made["builders"] = [
        _fixed(entry, name, base, external, labels)
        if isinstance(entry, Mapping) and entry.get("type") == GOOGLE_BUILDER
        else entry
        for entry in template.get("builders") or []
    ]
    return made


def _fixed(options: Mapping[str, Json], name: str, base: str, external: bool, labels: Mapping[str, str]) -> Json:
    fixed = {key: value for key, value in options.items() if key not in ("image_family", "instance_name")}
    if not external:
        fixed.pop("source_image_project_id", None)
    fixed["image_name"] = name
    fixed["source_image"] = base
    fixed["image_labels"] = merged(options.get("image_labels"), dict(labels))
    return fixed
