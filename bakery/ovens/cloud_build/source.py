"""The source of a build: the staged files of a recipe, with the template that the build runs."""

import gzip
import json
import posixpath
from collections.abc import Mapping
from typing import Any

from bakery.host import tar
from bakery.orders.model import BakeOrder
from bakery.recipe.stage import checked
from bakery.recipe.templating import HCL2, HCL2_VALUES


def archive(order: BakeOrder, template: Mapping[str, Any]) -> bytes:
    """Return the staged workspace as a tar.gz that is identical for identical content.

    The template replaces the recipe's own, which may have several files in HCL2. Raises InputError if a file has
    changed since the plan read it.
    """
    contents = checked(sorted(order.files))
    files = [(file.path, content, file.mode) for file, content in contents if not _is_template(file.path, order)]
    files.append((order.template_path, json.dumps(template, indent=2).encode(), 0o644))
    return gzip.compress(tar.pack(files), mtime=0)


def _is_template(path: str, order: BakeOrder) -> bool:
    """Whether Packer would read a file besides the template that replaces the recipe's own, or in its place."""
    if "hcl2" not in order.template or posixpath.dirname(path) != posixpath.dirname(order.template_path):
        return path == order.template_path
    file = order.template["hcl2"].get("file")
    return posixpath.basename(path) == file if file else path.endswith((*HCL2, *HCL2_VALUES))
