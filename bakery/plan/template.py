"""What a Packer template's builder says: where to bake, what shapes the disk, which image to start from.

Field names from the reference of Packer's googlecompute builder.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

from bakery.recipe.model import Json
from bakery.recipe.templating import declared, fill, only_reference, references, resolve

GOOGLE = "googlecompute"
# What shapes the disk or what runs on it. All other options say where and on what machine to bake, what things are
# called, or how to reach the machine.
SHAPING = (
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
# Where bakes take the same bytes from: a mirror or a cache never decides what they are.
TRANSPORT = frozenset({"spack_cache", "spack_cache_key", "spack_mirror"})


def builder(template: Json) -> Mapping[str, Json]:
    """Return the builder that is used: the googlecompute one, else the first; {} if there is none."""
    found = [entry for entry in template.get("builders") or [] if isinstance(entry, Mapping)]
    google = (entry for entry in found if entry.get("type") == GOOGLE)
    return next(google, found[0] if found else {})


def disk_options(template: Json) -> dict[str, Json]:
    """Return the builder's options that determine the disk, as the template has them."""
    options = builder(template)
    return {key: options[key] for key in SHAPING if key in options}


def location_variables(template: Json) -> frozenset[str]:
    """Return the variables that only determine where to bake, names, and the route of downloads.

    A variable counts as a name only when it is the whole of the option: ``image_name: "x-{{user `compiler`}}"`` does
    not make the compiler a name.
    """
    options = builder(template)
    where = {name for key in WHERE if key in options for name in references(options[key])}
    names = {only_reference(options[key]) for key in NAMES if key in options}
    return frozenset((where | names | TRANSPORT) - {""})


def source_project(options: Mapping[str, Json]) -> str:
    """Return the base image's project in the template. Packer takes one or a list, of which the first counts."""
    given = options.get("source_image_project_id") or ""
    return str(given[0] if isinstance(given, list) and given else given or "")


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
        if isinstance(entry, Mapping) and entry.get("type") == GOOGLE
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
    fixed["image_labels"] = {**(options.get("image_labels") or {}), **labels}
    return fixed
