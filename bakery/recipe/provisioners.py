"""What Packer's provisioners and post-processors read on the machine that bakes.

Source: Packer's reference of provisioners and of template functions.
"""

from collections.abc import Iterator, Mapping

from bakery.recipe.expressions import Function
from bakery.recipe.model import Json

STARTUP = "startup-script"  # the metadata that Compute Engine runs as root
# The options of a builder whose values are files: those of the metadata, and the keys and certificates of Secure Boot.
BUILDER_FILES = (
    *("startup_script_file", "metadata_files", "image_platform_key", "image_key_exchange_key"),
    *("image_signatures_db", "image_forbidden_signatures_db"),
)
# These hand over what they name and nothing else. Every other provisioner is a tool that reads folders of its own
# choice on the machine that bakes (ansible: roles, group_vars), or a command there.
EXACT = frozenset({"breakpoint", "file", "powershell", "shell", "sleep", "windows-restart", "windows-shell"})


def runs_here(entry: Mapping[str, Json]) -> bool:
    """Whether a provisioner runs a program on the machine that bakes."""
    return entry.get("type") not in EXACT


def is_generated(entry: Mapping[str, Json]) -> bool:
    """Whether a file is made in the bake, and need not exist before. Packer takes the texts of a boolean, too."""
    return str(entry.get("generated")).lower() in ("true", "t", "1")


def takes_package(entry: Mapping[str, Json]) -> bool:
    """Whether a provisioner may read any file of the package."""
    return runs_here(entry) or is_generated(entry)


def after(template: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the provisioner for errors and the post-processors."""
    found = template.get("post-processors")
    chains = [entry if isinstance(entry, list) else [entry] for entry in found] if isinstance(found, list) else []
    for entry in (template.get("error-cleanup-provisioner"), *(one for chain in chains for one in chain)):
        if isinstance(entry, Mapping):
            yield entry


def template_functions(folder: str) -> Mapping[str, Function]:
    """Return Packer's functions for paths: the template's folder, and the current one."""
    return {"template_dir": lambda: folder, "pwd": lambda: "."}
