"""The product of commit 22c604a, for comparisons in the fake Google Cloud of today, which refuses what Google refuses.

That commit's own fake accepted two kinds of requests that neither Google nor today's fake does. Its product is copied,
and these are mended with the fewest words, so that an ``up`` ends at all: machines with the policy TERMINATE, and polls
of operations, which went to Google whatever ``google.endpoint`` said. The stand-in of test machines knows the order of
a run by its name of today.
"""

from __future__ import annotations

import shutil
from pathlib import Path

OPERATIONS = """

def _polled_here(make):
    def client(google):
        made, access = make(google), {"credentials": google.credentials, "client_options": google._options}
        made.transport._extended_operations_services |= {
            "global_operations": compute_v1.GlobalOperationsClient(**access),
            "zone_operations": compute_v1.ZoneOperationsClient(**access),
        }
        return made

    return client


for _name in ("images", "disks", "instances"):
    Google.__dict__[_name].func = _polled_here(Google.__dict__[_name].func)
"""
MENDED = {
    "fluid_run/clusters/instance.py": ('on_host_maintenance="TERMINATE"', 'on_host_maintenance="MIGRATE"'),
    "fluid_run/clusters/compute_engine.py": ("course.json", "run_spec.json"),
}


def copy(checkout: Path, folder: Path) -> Path:
    """Copy the product of a checkout of that commit, set up with ``make setup``, into ``folder``, mended."""
    shutil.copytree(checkout / "bakery", folder / "bakery", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__main__.py", "Pulumi.yaml", "bakery.lock"):
        shutil.copy(checkout / name, folder)
    (folder / ".venv").symlink_to(checkout / ".venv")
    for name, (was, now) in MENDED.items():
        file = folder / "bakery" / name
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        if was not in text:
            raise SystemExit(f"{checkout} is not commit 22c604a: there is no {was} in bakery/{name}")
        file.write_text(text.replace(was, now), encoding="utf-8")
    with (folder / "bakery/host/google.py").open("a", encoding="utf-8") as module:
        module.write(OPERATIONS)
    return folder
