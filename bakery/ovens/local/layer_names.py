"""Names of layers: the digest of all that decides the disk of a bake after each of its provisioners.

That is the base image's file, the size of the disk, the builder's options that shape it, its name if it counts, the
package's nonce, and of every provisioner so far its text, the values of its variables and the files that it hands over.
From the first provisioner on whose result is not on the disk alone, or that is given a secret, there are no names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bakery.orders.model import BakeOrder
from bakery.ovens.local import file_server, template
from bakery.ovens.local.machine import FILES
from bakery.plan.digest import canonical, sha256
from bakery.plan.image_files import DOWNLOAD, handed_over
from bakery.plan.template import BUILDER_NAMES, disk_options, location_variables
from bakery.recipe.expressions import ALL
from bakery.recipe.model import Json
from bakery.recipe.provisioners import takes_package
from bakery.recipe.templating import NOT_FOLLOWED, declared, references, resolve
from bakery.redaction import redacted
from bakery.settings.network import NOTHING

FORMAT = "image-bakery/layer/1"
SCRIPTS = ("apply.sh", "container.sh", "sysctl.sh")  # what prepares a container


@dataclass(frozen=True)
class LayerNames:
    """The names of the layers after the first provisioner, after the second, and so on.

    ``end`` says why there is none after the next provisioner; empty if every provisioner has one.
    """

    names: tuple[str, ...] = ()
    end: str = ""


def layer_names(order: BakeOrder, base: Path, size_gb: int, mirrors: Mapping[str, str] = NOTHING) -> LayerNames:
    """Return the names for a bake in a container, from the disk ``base`` and of at least ``size_gb`` GiB.

    A layer has the addresses of the ``mirrors`` of packages, which only the end of a bake with the same ones removes.
    """
    if order.secrets:  # a provisioner may write one to the disk, and the next one delete it
        return LayerNames(end="it is given a secret")
    known = resolve({**declared(order.template), **order.variables})
    counted = known.keys() - location_variables(order.template)
    folder = str(PurePosixPath(order.template_path).parent)
    options = disk_options(order.template)
    scripts = [(FILES / name).read_text(encoding="utf-8") for name in SCRIPTS]
    disk = [order.base.digest, base.stat().st_size, base.stat().st_mtime_ns, size_gb, order.inputs.get("nonce", "")]
    if named := order.inputs.get(BUILDER_NAMES):  # a provisioner may read them
        disk.append(named)
    if mirrors:
        disk.append(dict(mirrors))
    name = sha256(canonical([FORMAT, disk, scripts, options, _used(options, known)]))
    made: list[str] = []
    for step in template.steps(order.template):
        used = _used(step, known)
        if end := _end(step, used, order.template):
            return LayerNames(tuple(made), end)
        values = {key: value for key, value in used.items() if key in counted}
        files = [[file.path, file.mode, file.sha256] for file in handed_over([step], known, folder, order.files)]
        name = sha256(canonical([name, step, values, files]))
        made.append(name)
    return LayerNames(tuple(made))


def _used(value: Json, known: Mapping[str, str]) -> dict[str, str]:
    names = references(value)
    return {name: text for name, text in known.items() if name in names or ALL in names}


def _end(step: Json, used: Mapping[str, str], recipe: Json) -> str:
    """Return why no layer can be taken after a provisioner; empty if one can."""
    secret = {*(recipe.get("sensitive-variables") or ()), file_server.KEY}
    text = canonical([step, used])
    if takes_package(step) or step.get("direction") == DOWNLOAD:
        return "it works on this computer, too"
    if redacted(text) != text or any(used.get(name) for name in secret):
        return "it is given a secret"
    return "Packer evaluates expressions in it" if NOT_FOLLOWED in text else ""
