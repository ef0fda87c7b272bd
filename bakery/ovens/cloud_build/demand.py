"""The machine that a bake asks Compute Engine for, as its template says it."""

from collections.abc import Mapping

from bakery.host.quota_metrics import MachineDemand
from bakery.plan.template import builder
from bakery.recipe.expressions import fill
from bakery.recipe.model import Json
from bakery.recipe.templating import declared, resolve

# What the plugin takes without the option: its config.go, version 1.2.5.
DEFAULT_MACHINE, DEFAULT_DISK_GB = "e2-standard-2", 20


def bake_machine(template: Json, variables: Mapping[str, str], *, spot: bool) -> MachineDemand:
    """Return the machine of a bake; ``spot`` as in :class:`bakery.settings.google.GoogleSettings`."""
    options = builder(template)
    known = resolve({**declared(template), **variables})

    def text(name: str) -> str:
        value = options.get(name)
        return "" if value is None else fill(str(value), known).rpartition("/")[2]

    def number(name: str, default: int) -> int:
        return int(given) if (given := text(name)).isdecimal() else default

    return MachineDemand(
        machine_type=text("machine_type") or DEFAULT_MACHINE,
        disk_type=text("disk_type"),
        disk_gb=number("disk_size", DEFAULT_DISK_GB),
        gpu_type=text("accelerator_type"),
        gpus=number("accelerator_count", 0),
        spot=spot or text("preemptible").lower() == "true",
    )
