"""What Packer's provisioners and post-processors read on the machine that bakes.

Source: Packer's reference of provisioners and of template functions.
"""

from collections.abc import Iterator, Mapping

from bakery.recipe.expressions import Function
from bakery.recipe.model import Json

STARTUP = "startup-script"  # the metadata that Compute Engine runs as root
# These hand over what they name and nothing else. Every other provisioner is a tool that reads folders of its own
# choice on the machine that bakes (ansible: roles, group_vars), or a command there.
EXACT = frozenset({"breakpoint", "file", "powershell", "shell", "sleep", "windows-restart", "windows-shell"})


def takes_package(entry: Mapping[str, Json]) -> bool:
    """Whether a provisioner may read any file of the package."""
    return entry.get("type") not in EXACT or entry.get("generated") is True


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
