"""Renders a recipe's Packer template for this computer, without I/O; the recipe's provisioners are not changed.

The result has one builder, of this computer, with the name of the builder that it replaces, so ``only``, ``except`` and
``override`` of provisioners, and ``{{build_name}}``, keep their meaning.
"""

import posixpath
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from bakery.errors import BakeFailed, BakeryError
from bakery.orders.model import BakeOrder
from bakery.ovens import stops
from bakery.plan.template import builder, title
from bakery.recipe import secrets
from bakery.recipe.call_place import place
from bakery.recipe.expressions import fill, replaced
from bakery.recipe.hcl2.render import is_followed, to_pkr_json
from bakery.recipe.model import Json
from bakery.recipe.network import provisioners as with_network
from bakery.recipe.packer_call import build_calls
from bakery.recipe.provisioners import STARTUP
from bakery.recipe.substitutions import substitute
from bakery.recipe.templating import declared, references
from bakery.redaction import redacted
from bakery.settings import NetworkSettings
from bakery.settings.network import DIRECT

MARK = "bakery-provisioner"
REPLACED = ("builders", "provisioners", "post-processors")  # of the template
BORDER = "border-"  # in the bake's folder: the file that lets the provisioner of that number begin
LOCALLY = ["/bin/sh", "-c", '{{ .Vars }} "$0"', "{{ .Script }}"]  # Packer's own, for every path of the script
KEPT = ("ssh_pty", "ssh_timeout", "ssh_handshake_attempts", "ssh_read_write_timeout", "pause_before_connecting")
OF_ALL_SCRIPTS = {"max_retries", "override", "pause_after", "pause_before", "timeout"}  # of a shell provisioner
OWN_SETTINGS = ("CHECKPOINT_", "HOME", "LD_", "PACKER_", "PATH", "TMPDIR")  # how names begin that stay as they are
AS_ROOT = "sudo -n /bin/sh -c '{{ .Vars }} {{ .Path }}'"


@dataclass(frozen=True)
class Rendering:
    """A template that Packer runs. ``provisioners`` describes each in a few words; Packer logs in as ``user``."""

    template: Json
    variables: Mapping[str, str]
    builder: str
    user: str
    disk_gb: int
    provisioners: tuple[str, ...]
    warnings: tuple[str, ...]
    path: str = ""  # of an HCL2 template in the workspace; JSON has none
    folder: str = ""  # of the workspace, where Packer runs
    environment: Mapping[str, str] = field(default_factory=dict)  # what the build sets for Packer
    first: int = 0  # provisioners before those of the recipe, which are never left out
    stop: int = 0  # the number of the provisioner that the bake ends before; 0 if it runs all

    @property
    def hcl2(self) -> bool:
        """Whether Packer has expressions to evaluate that only HCL2 has."""
        return self.path != ""

    def after(self, done: int) -> "Rendering":
        """Return the template without its first ``done`` provisioners; JSON only."""
        own = self.template["provisioners"]
        left = [*own[: self.first], *own[self.first + 2 * done :]]
        return replace(self, template={**self.template, "provisioners": left})

    def before(self, number: int) -> "Rendering":
        """Return the template that ends before the provisioner with the number, from 1 on; JSON only."""
        own = self.template["provisioners"][: self.first + 2 * (number - 1)]
        stop = {"execute_command": LOCALLY, **stops.provisioner(number)}
        return replace(self, template={**self.template, "provisioners": [*own, stop]}, stop=number)

    def number(self, step: str, option: str) -> int:
        """Return the number of the provisioner that an ``option`` of the command line names.

        Raises InputError if it names none, and BakeryError for a template that Packer evaluates itself.
        """
        if self.hcl2:
            text = "the provisioners of a template that only Packer can evaluate are not run apart"
            raise BakeryError(text, hint="log in, and run its scripts by hand")
        return stops.number_of(step, self.provisioners, option)

    @property
    def file(self) -> str:
        """Return where the template is written, below the folder of the bake."""
        return f"workspace/{self.path}" if self.hcl2 else "packer.json"

    @property
    def argument(self) -> str:
        """Return how an HCL2 template is named where Packer runs, which says where paths of functions begin."""
        return posixpath.relpath(self.path, self.folder or ".")


def resolve(text: Json, variables: Mapping[str, str]) -> str:
    """Return a value of the template with its ``{{user}}`` variables replaced."""
    return fill(str(text), defaultdict(str, variables))


def steps(template: Json) -> list[Json]:
    """Return what a bake runs, in order: the builder's startup script, and the provisioners.

    A shell provisioner with several scripts is one for each, which Packer runs in the same way.
    """
    steps = [*_startup(builder(template)), *(template.get("provisioners") or [])]
    return [one for step in steps for one in _one_by_one(step)]


def _one_by_one(step: Json) -> list[Json]:
    scripts = step.get("scripts")
    if step.get("type") != "shell" or not isinstance(scripts, list) or step.keys() & OF_ALL_SCRIPTS:
        return [step]
    return [{**step, "scripts": [script]} for script in scripts]


def render(
    order: BakeOrder,
    local: Json,
    workspace: Path,
    sync_on_error: bool = False,
    borders: bool = False,
    *,
    given: Mapping[str, str] = MappingProxyType({}),
    network: NetworkSettings = DIRECT,
) -> Rendering:
    """Return the template of the order. Raises BakeFailed if it has no builder.

    ``local`` is the builder of this computer, without what the recipe's own decides: its name, its user and how long
    Packer waits. With ``sync_on_error`` the disk of a failed bake contains everything that was written, so that it can
    be examined. With ``borders`` each provisioner waits for the file ``border-<number>`` in the folder above.
    ``given`` maps the secrets of the bake to paths of this computer: they are brought into the machine first, and it is
    searched for them last. ``network`` is the stack's, as the machine sees it.
    """
    template = order.template
    source = builder(template)
    if not source:
        raise BakeFailed("the template has no builders", hint="give packer.json a googlecompute builder")
    defaults = template.get("variables") or {}
    wanted = defaults.keys() | references(template)
    variables = {key: value for key, value in order.variables.items() if key in wanted}
    known = {**{key: str(value) for key, value in defaults.items() if value is not None}, **variables}
    own = template.get("sensitive-variables") or []  # Packer hides them in its logs
    secret = [*own, *(name for name, value in variables.items() if redacted(value) != value and name not in own)]
    user, disk_size = resolve(source.get("ssh_username", "packer"), known), resolve(source.get("disk_size", 0), known)
    name = str(source.get("name") or source["type"])
    before, provisioners, after = with_network(steps(template), network)
    first = [*secrets.provisioners({key: {"source": path} for key, path in given.items()}), *before]
    parts = {key: value for key, value in template.items() if key not in REPLACED}
    parts["builders"] = [{"ssh_timeout": "10m", **_kept(source), **local, "name": name, "ssh_username": user}]
    hcl2 = "hcl2" in template and not is_followed({**parts, "provisioners": provisioners})
    cwd = _folder(order) if hcl2 else ""
    above = posixpath.relpath("..", cwd or ".") if borders else ""
    rendered = {
        **parts,
        "provisioners": [*first, *_marked(provisioners, above), *after, *(secrets.search() if given else [])],
        **({"sensitive-variables": secret} if secret else {}),
        **({"error-cleanup-provisioner": {"type": "shell", "inline": ["sync"]}} if sync_on_error else {}),
    }
    if not hcl2:
        folder = posixpath.dirname(order.template_path)
        folder = folder if "hcl2" in template else str(workspace / folder)  # only in JSON the path is absolute
        rendered = _map(rendered, lambda text: replaced(text, "template_dir", folder))
    return Rendering(
        template=_as_hcl2(rendered, variables) if hcl2 else {k: v for k, v in rendered.items() if k != "hcl2"},
        path=order.template_path if hcl2 else "",
        folder=cwd,
        environment=_environment(order),
        variables=variables,
        builder=title(template, local["type"], name) if hcl2 else resolve(name, known),
        user=user,
        disk_gb=int(disk_size) if disk_size.isdigit() else 0,
        provisioners=tuple(resolve(_words(one), known) for one in provisioners),
        warnings=("post-processors are not run by the local oven",) if template.get("post-processors") else (),
        first=len(first),
    )


def _as_hcl2(rendered: Json, variables: Mapping[str, str]) -> Json:
    """Return a template with expressions that only HCL2 has; Packer 1.6 knows no plugins and no clean-up there."""
    kept = {key: value for key, value in rendered.items() if key != "error-cleanup-provisioner"}
    extras = {key: value for key, value in rendered["hcl2"].items() if key != "plugins"}
    return to_pkr_json({**kept, "hcl2": extras, "variables": {**rendered["variables"], **variables}})


def _kept(source: Json) -> Json:
    return {key: source[key] for key in KEPT if key in source}


def _startup(source: Json) -> list[Json]:
    """Return the startup script as a provisioner: Compute Engine runs it as root, and does not convert CRLF.

    Packer waits for a script that it wraps, by default for a ``startup_script_file``. Of another one in the metadata it
    does not know the result. Source: createInstanceMetadata in step_create_instance.go of the plugin, 1.2.7.
    """
    given = (source.get("metadata"), source.get("metadata_files"))
    metadata, files = (one if isinstance(one, dict) else {} for one in given)
    file, text = source.get("startup_script_file"), metadata.get(STARTUP)
    wrapped = str(source.get("wrap_startup_script", file is not None)).lower() == "true"
    step = {"type": "shell", "binary": True, "execute_command": AS_ROOT if wrapped else f"{AS_ROOT} || true"}
    if STARTUP in files:  # it replaces the others, after Packer has wrapped them
        unwatched = {**step, "execute_command": f"{AS_ROOT} || true"}
        return [{**unwatched, "script": files[STARTUP]}]
    if file is not None:
        return [{**step, "script": file}]
    if text:
        shebang, _, rest = text.partition("\n") if text.startswith("#!") else ("#!/bin/sh", "", text)
        lines = rest.removesuffix("\n").split("\n")
        return [{**step, "inline_shebang": shebang.removeprefix("#!").lstrip(), "inline": lines}]
    return []


def _folder(order: BakeOrder) -> str:
    """Return the folder of the workspace where the build runs Packer; "" for the workspace, or if it is not known."""
    at = place(build_calls(order.build, order.package), order.substitutions, order.template_path)
    folder = at.path("", rooted=False) if at else "."
    return "" if folder.startswith(("/", ".")) else folder


def _environment(order: BakeOrder) -> dict[str, str]:
    """Return what the build sets for Packer, without settings of this computer and values that only a build knows."""
    given = build_calls(order.build, order.package).environment
    values = {name: substitute(text, order.substitutions, last=True) for name, text in given.items()}
    return {name: text for name, text in values.items() if "$" not in text and not name.startswith(OWN_SETTINGS)}


def _marked(provisioners: list[Json], above: str) -> list[Json]:
    """Add a line of output before each provisioner, from which the progress is read.

    With ``above``, the path of the bake's folder, it waits there for its border.
    """
    total = len(provisioners)
    marked: list[Json] = []
    for number, provisioner in enumerate(provisioners, start=1):
        wait = [f"until [ -e {above}/{BORDER}{number} ]; do sleep 0.05; done"] if above else []
        marked += [{"type": "shell-local", "inline": [f"echo {MARK} {number}/{total}", *wait]}, provisioner]
    return [{"execute_command": LOCALLY, **one} if one.get("type") == "shell-local" else one for one in marked]


def _words(provisioner: Json) -> str:
    """Return a provisioner in a few words: its type and what it runs or copies."""
    scripts = provisioner.get("scripts") or [provisioner.get("script") or provisioner.get("source") or ""]
    what = ", ".join(PurePosixPath(str(script)).name for script in scripts if script)
    return f"{provisioner.get('type', '')} {what}".strip()


def named(provisioner: Json, variables: Mapping[str, str]) -> str:
    """Return the file that a provisioner runs or copies, or its type if it names none."""
    scripts = provisioner.get("scripts") or [provisioner.get("script") or provisioner.get("source") or ""]
    return resolve(scripts[0], variables) or str(provisioner.get("type", ""))


def reused(order: BakeOrder, rendering: Rendering, done: int) -> str:
    """Return the message of a bake that begins from a layer of ``done`` provisioners."""
    left = [named(step, {**declared(order.template), **order.variables}) for step in steps(order.template)[done:]]
    words = f"{done} of {len(rendering.provisioners)} provisioners reused"
    return f"{words}, from {left[0]} on" if left else words


def _map(value: Json, change: Callable[[str], str]) -> Json:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map(entry, change) for entry in value]
    if isinstance(value, dict):
        return {key: _map(entry, change) for key, entry in value.items()}
    return value
